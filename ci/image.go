package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"slipway/ci/internal/dagger"

	"slipway/ci/config"
	"slipway/ci/evidence"
	"slipway/step"
	"slipway/step/result/scan"
)

// Image is a built image that nothing has judged yet: an OCI layout that no
// registry has seen.
type Image struct {
	// Digest of the image index.
	Digest string
	// Tree is the Git tree id of the app's folder that the image was built from.
	Tree string
	// Revision is the commit that it was built at, with -dirty appended when anything
	// that a delivery takes from the source differs from the commit.
	Revision string
	// Uncommitted names what differs: added, changed or removed, and the path.
	Uncommitted []string
	Authors     []string          // +private
	App         *App              // +private
	Layout      *dagger.Directory // +private
	Box         Box               // +private
	Stages      []Stage           // +private
}

// OciLayout is the image as an OCI image layout.
//
// Example: dagger call app --name hello build oci-layout export --path ./hello.oci
//
// +cache="168h"
func (i *Image) OciLayout() *dagger.Directory { return i.Layout }

// Format is the form of a scan report.
type Format string

const (
	// Table is for people.
	Table Format = "TABLE"
	// Json is the normalised findings.
	Json Format = "JSON"
	// Sarif is for code scanning services.
	Sarif Format = "SARIF"
)

// Report is what the scanner found, without a decision: also for an image that
// the policy refuses.
//
// Example: dagger call app --name legacy build report --format TABLE contents
//
// +cache="never"
func (i *Image) Report(
	ctx context.Context,
	// TABLE, JSON or SARIF.
	// +default="TABLE"
	format Format,
) (*dagger.File, error) {
	database, err := i.App.Slipway.database(ctx)
	if err != nil {
		return nil, err
	}
	out, _, err := i.findings(ctx, database)
	if err != nil {
		return nil, err
	}
	name, ok := map[Format]string{Table: "report.txt", Json: "findings.json", Sarif: "report.sarif"}[format]
	if !ok {
		return nil, step.Input("scan", fmt.Sprintf("format %q", format), "is not a report format", "use TABLE, JSON or SARIF")
	}
	return out.File(name), nil
}

// SbomSubject is what a bill of materials is about.
type SbomSubject string

const (
	// SbomSubjectImage is every package in the image for one platform.
	SbomSubjectImage SbomSubject = "IMAGE"
	// SbomSubjectSource is every package that the app's folder names: in go.mod
	// or another lock file.
	SbomSubjectSource SbomSubject = "SOURCE"
)

// SbomFormat is the specification that a bill of materials follows.
type SbomFormat string

const (
	// SbomFormatCyclonedx is CycloneDX 1.6, as JSON.
	SbomFormatCyclonedx SbomFormat = "CYCLONEDX"
	// SbomFormatSpdx is SPDX 2.3, as JSON.
	SbomFormatSpdx SbomFormat = "SPDX"
)

// Sbom is the software bill of materials of the image for one platform, or of its
// source, also for an image that the policy refuses. The same image, source and Trivy
// give the same bytes. Publishing attests the bills of all platforms.
//
// Example: dagger call app --name hello build sbom --of IMAGE --platform linux/arm64 --format SPDX contents
//
// +cache="never"
func (i *Image) Sbom(
	ctx context.Context,
	// IMAGE or SOURCE.
	// +default="IMAGE"
	of SbomSubject,
	// CYCLONEDX or SPDX.
	// +default="CYCLONEDX"
	format SbomFormat,
	// One of the image's platforms; its first, in the order of the alphabet, by default.
	// +optional
	platform string,
) (*dagger.File, error) {
	suffix, ok := map[SbomFormat]scan.SBOMFormat{SbomFormatCyclonedx: scan.CycloneDX, SbomFormatSpdx: scan.SPDX}[format]
	if !ok {
		return nil, step.Input("scan", fmt.Sprintf("format %q", format), "is not a format of bills of materials", "use CYCLONEDX or SPDX")
	}
	switch {
	case of != SbomSubjectImage && of != SbomSubjectSource:
		return nil, step.Input("scan", fmt.Sprintf("bill of materials of %q", of), "is not made", "use IMAGE or SOURCE")
	case of == SbomSubjectSource && platform != "":
		return nil, step.Input("scan", fmt.Sprintf("platform %.80q", platform), "is given, and a source has none", "leave it out, or use --of IMAGE")
	}
	database, err := i.App.Slipway.database(ctx)
	if err != nil {
		return nil, err
	}
	out, _, err := i.findings(ctx, database)
	if err != nil {
		return nil, err
	}
	if of == SbomSubjectSource {
		return out.File(scan.SBOM("", suffix)), nil
	}
	ran, err := resultIn[scan.Summary](ctx, out)
	if err != nil {
		return nil, err
	}
	found, ok := ran.On(platform)
	if !ok {
		return nil, step.Input("scan", fmt.Sprintf("platform %.80q", platform), "is not one that the image is for", "use "+strings.Join(ran.Platforms, " or "))
	}
	return out.File(scan.SBOM(found, suffix)), nil
}

// provenance is what is known about how the image was built.
func (i *Image) provenance(ctx context.Context) (*evidence.Build, error) {
	s := i.App.Slipway
	settings, err := s.settings(ctx, i.App.Name)
	if err != nil {
		return nil, err
	}
	build := &evidence.Build{
		Parameters: evidence.Parameters{App: i.App.Name, Recipe: string(settings.Build.Kind), Package: settings.Build.Package, Dockerfile: settings.Build.File,
			Args: settings.Build.Args, Target: settings.Build.Target, Secrets: settings.Build.Secrets},
		Box: &i.Box, Revision: i.Revision, Uncommitted: i.Uncommitted, Tree: i.Tree, Platforms: settings.Platforms, Runner: evidence.Runner(or(s.Runner, string(evidence.RunnerLocal))), Invocation: s.Invocation,
	}
	if s.Config.Verification.AsksApprovers() {
		build.Authors = i.Authors
	}
	if settings.Build.Package != "" {
		if build.Toolchain, err = dag.Toolbox().Toolchain(ctx); err != nil {
			return nil, err
		}
		if build.GoSum, err = fileDigest(ctx, i.App.source(), "go.sum"); err != nil {
			return nil, err
		}
	}
	if settings.Build.Kind == config.KindDockerfile {
		recipe := i.App.recipe(settings, nil)
		checked, err := recipe.checked(ctx)
		if err != nil {
			return nil, err
		}
		_, packages, err := recipe.packages(ctx, checked)
		if err != nil {
			return nil, err
		}
		for _, lock := range packages.Locks {
			build.Locks = append(build.Locks, evidence.Lock{Path: lock.Path, Digest: lock.Digest})
		}
		for _, base := range checked.Bases {
			if pinned := step.Reference(base.Reference); pinned.Digest() != "" {
				build.Bases = append(build.Bases, pinned.Untagged())
			}
		}
		for _, f := range checked.Fetches {
			build.Fetched = append(build.Fetched, evidence.Fetched{URL: f.URL, Checksum: f.Checksum, Commit: f.Commit})
		}
	}
	return build, nil
}

// fileDigest is sha256:… of a file, or empty when there is none.
func fileDigest(ctx context.Context, folder *dagger.Directory, name string) (string, error) {
	found, err := folder.Glob(ctx, name)
	if err != nil || len(found) == 0 {
		return "", err
	}
	text, err := folder.File(name).Contents(ctx)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(text))
	return "sha256:" + hex.EncodeToString(sum[:]), nil
}
