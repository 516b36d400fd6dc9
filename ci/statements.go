package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"slipway/ci/internal/dagger"

	"slipway/ci/config"
	"slipway/ci/evidence"
	"slipway/ci/rules"
	"slipway/step"
	"slipway/step/result/build"
	"slipway/step/result/scan"
)

// Runner is what the pipeline runs on.
type Runner string

const (
	// A developer's machine, or one that nothing is known about.
	Local Runner = "LOCAL"
	// GitHub Actions.
	GithubActions Runner = "GITHUB_ACTIONS"
	// Azure DevOps.
	AzureDevops Runner = "AZURE_DEVOPS"
)

var runners = map[Runner]evidence.Runner{
	Local: evidence.RunnerLocal, GithubActions: evidence.RunnerGitHub, AzureDevops: evidence.RunnerAzure,
}

// WithRunner says what the pipeline runs on, for the provenance of what it builds.
// Where a rule of slipway.yaml names runners, this counts only if the pipeline signs as
// an identity of that runner's job (with-identity), because whoever holds a key could
// claim it.
//
// Example: dagger call with-runner --kind GITHUB_ACTIONS --invocation https://github.com/acme/platform/actions/runs/1 deliver --app hello --env dev
//
// +cache="168h"
func (s *Slipway) WithRunner(
	// What it runs on.
	kind Runner,
	// The run's URL.
	// +optional
	invocation string,
) (*Slipway, error) {
	if _, ok := runners[kind]; !ok {
		return nil, step.Input("config", fmt.Sprintf("runner %q", kind), "is not known", "use LOCAL, GITHUB_ACTIONS or AZURE_DEVOPS")
	}
	next := *s
	next.Runner, next.Invocation = string(runners[kind]), invocation
	return &next, nil
}

// ranAs is how a scan ran that left its results.
func ranAs(ctx context.Context, out *dagger.Directory, c *config.Config) (rules.Run, error) {
	var s scan.Summary
	err := decode(ctx, out, &s)
	return rules.Run{TrivyDigest: s.TrivyDigest, Repository: c.Scan.Database.Repository, StartedOn: s.StartedOn, FinishedOn: s.FinishedOn}, err
}

// attested is the predicate of the scan of an image.
func (i *ScannedImage) attested(ctx context.Context, reference Reference, verdict rules.Verdict) (rules.Scan, error) {
	found, err := findings(ctx, i.Out)
	if err != nil {
		return rules.Scan{}, err
	}
	run, err := ranAs(ctx, i.Out, i.Image.App.Slipway.Config)
	return rules.Attest(reference.String(), verdict, *found, run), err
}

// statements are what is to be attested about a scanned image: of each of its platforms
// a bill of materials, too.
func (i *ScannedImage) statements(ctx context.Context, tested build.Tests) (map[string]evidence.File, error) {
	passed, err := i.attested(ctx, step.Refer(i.Image.App.Slipway.Config.Image(i.Image.App.Name), i.Digest), *i.Decided)
	if err != nil {
		return nil, err
	}
	var ran scan.Summary
	if err := decode(ctx, i.Out, &ran); err != nil {
		return nil, err
	}
	built, err := i.Image.provenance(ctx)
	if err != nil {
		return nil, err
	}
	files := evidence.Bills(ran.Platforms)
	files["scan"] = evidence.File{PredicateType: evidence.ScanType, Predicate: passed}
	files["provenance"] = evidence.File{PredicateType: evidence.ProvenanceType, Predicate: built.Provenance()}
	// Where no test has run there is no result of one.
	if tested.Passed > 0 {
		files["tests"] = evidence.File{PredicateType: evidence.TestResultType, Predicate: evidence.Passed(i.Image.Tree, tested)}
	}
	return files, nil
}

// statements is a folder of statements, as the sign module takes it.
func statements(files map[string]evidence.File) (*dagger.Directory, error) {
	folder := dag.Directory()
	for name, file := range files {
		text, err := file.Encode()
		if err != nil {
			return nil, fmt.Errorf("encode statement %s: %w", name, err)
		}
		folder = folder.WithNewFile(name+".statement.json", text)
	}
	return folder, nil
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
