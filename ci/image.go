package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"slipway/ci/internal/dagger"

	"slipway/ci/config"
	"slipway/ci/rules"
	"slipway/step"
	"slipway/step/printable"
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
	var ran scan.Summary
	if err := decode(ctx, out, &ran); err != nil {
		return nil, err
	}
	found, ok := ran.On(platform)
	if !ok {
		return nil, step.Input("scan", fmt.Sprintf("platform %.80q", platform), "is not one that the image is for", "use "+strings.Join(ran.Platforms, " or "))
	}
	return out.File(scan.SBOM(found, suffix)), nil
}

// Scan looks for vulnerabilities in the image, secrets in the app's source and
// misconfigurations in the app's manifests and in infra/, and refuses what the
// policy of slipway.yaml does not let pass.
//
// Example: dagger call app --name hello build scan verdict
//
// +cache="never"
func (i *Image) Scan(ctx context.Context) (*ScannedImage, error) {
	database, err := i.App.Slipway.database(ctx)
	if err != nil {
		return nil, err
	}
	return i.scan(ctx, database)
}

func (i *Image) scan(ctx context.Context, database *dagger.Directory) (*ScannedImage, error) {
	began := time.Now()
	out, found, err := i.findings(ctx, database)
	if err != nil {
		return nil, err
	}
	verdict, err := i.judge(ctx, found)
	if err != nil {
		return nil, err
	}
	data, err := json.Marshal(verdict)
	return &ScannedImage{Digest: i.Digest, Verdict: printable.JSON(string(data)), Decided: verdict, Image: i, Out: out, Stages: after(i.Stages, "scan", began)}, err
}

// judge decides over findings now.
func (i *Image) judge(ctx context.Context, found *scan.Findings) (*rules.Verdict, error) {
	policy, err := i.App.Slipway.policy(ctx)
	if err != nil {
		return nil, err
	}
	exceptions, err := i.App.exceptions(ctx)
	if err != nil {
		return nil, err
	}
	return policy.Evaluate(rules.Scanned{App: i.App.Name, Digest: i.Digest, Findings: *found, Exceptions: exceptions, Now: time.Now()})
}

// exceptions are those of the app's OpenVEX document, if it has one.
func (a *App) exceptions(ctx context.Context) ([]rules.Exception, error) {
	c := a.Slipway.Config
	found, err := a.source().Glob(ctx, rules.VEXFile)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	text, err := a.source().File(rules.VEXFile).Contents(ctx)
	if err != nil {
		return nil, err
	}
	return rules.ParseVEX(a.file(rules.VEXFile), a.Name, []byte(text), c.Scan.Policy.VEXMaxAge)
}

// findings runs the scanner. Its work is kept by content: the same image,
// source, manifests and database are looked at once.
func (i *Image) findings(ctx context.Context, database *dagger.Directory) (*dagger.Directory, *scan.Findings, error) {
	s := i.App.Slipway
	settings, err := s.settings(ctx, i.App.Name)
	if err != nil {
		return nil, nil, err
	}
	expect := dagger.ScanImageOpts{}
	if settings.Build.Kind == config.KindGo {
		expect.Expect = "gobinary"
	}
	manifests := dag.Directory().WithDirectory(i.App.Name, s.Source.Directory("gitops/apps/"+i.App.Name))
	out := s.scan().Image(i.Layout, i.Digest, expect).
		Report(i.App.source(), i.App.title(), manifests, s.Source.Directory("infra"), database, dagger.ScanImageReportOpts{Revision: i.Tree})
	if err := decode(ctx, out, nil); err != nil {
		return nil, nil, err
	}
	found, err := findings(ctx, out)
	return out, found, err
}

// findings are those that a scan has left.
func findings(ctx context.Context, out *dagger.Directory) (*scan.Findings, error) {
	text, err := out.File("findings.json").Contents(ctx)
	if err != nil {
		return nil, err
	}
	found := &scan.Findings{}
	if err := json.Unmarshal([]byte(text), found); err != nil {
		return nil, fmt.Errorf("decode findings: %w", err)
	}
	return found, nil
}
