package evidence

import (
	"encoding/json"
	"strings"

	"slipway/step"
	"slipway/step/result/build"

	"slipway/step/result/sign"
)

// BuildType is the kind of build that Slipway's provenance is about; what its
// parameters mean is in build-type.md beside this file.
const BuildType = "https://slipway.dev/build-types/app/v1"

// Runner is what a pipeline runs on.
type Runner string

const (
	// RunnerLocal is a developer's machine, or one that nothing is known about.
	RunnerLocal Runner = "local"
	// RunnerGitHub is GitHub Actions.
	RunnerGitHub Runner = "github-actions"
	// RunnerAzure is Azure DevOps.
	RunnerAzure Runner = "azure-devops"
)

// Runners are all of them.
var Runners = []Runner{RunnerLocal, RunnerGitHub, RunnerAzure}

// Builder is the builder's id in provenance.
func (r Runner) Builder() string { return "https://slipway.dev/builders/" + string(r) + "/v1" }

// Provenance is the predicate of SLSA's provenance, version 1.
type Provenance struct {
	BuildDefinition BuildDefinition `json:"buildDefinition"`
	RunDetails      RunDetails      `json:"runDetails"`
}

// BuildDefinition is what was built from what.
type BuildDefinition struct {
	BuildType            string       `json:"buildType"`
	ExternalParameters   Parameters   `json:"externalParameters"`
	InternalParameters   Internal     `json:"internalParameters"`
	ResolvedDependencies []Descriptor `json:"resolvedDependencies"`
}

// Internal are what the platform chose.
type Internal struct {
	// Platforms that the image is for, with commas between.
	Platforms string `json:"platforms"`
	// Box is what the app's own commands were held to.
	Box *build.Box `json:"box,omitempty"`
}

// Parameters are what the caller chose.
type Parameters struct {
	// App is the folder below apps/.
	App string `json:"app"`
	// Recipe is app.yaml's build: go or dockerfile.
	Recipe string `json:"recipe"`
	// Package is the main package that was compiled, if any.
	Package string `json:"package,omitempty"`
	// Dockerfile is its path in the app's folder, if there is one.
	Dockerfile string `json:"dockerfile,omitempty"`
	// Args are the Dockerfile's build arguments.
	Args map[string]string `json:"args,omitempty"`
	// Target is the Dockerfile's stage that was built, if not the last.
	Target string `json:"target,omitempty"`
	// Secrets are the ids of those that the build could mount.
	Secrets []string `json:"secrets,omitempty"`
}

// RunDetails are who built.
type RunDetails struct {
	Builder  BuilderID         `json:"builder"`
	Metadata map[string]string `json:"metadata,omitempty"`
}

// BuilderID is a builder.
type BuilderID struct {
	ID      string            `json:"id"`
	Version map[string]string `json:"version,omitempty"`
}

// Build is what is known about a build.
type Build struct {
	Parameters
	// Revision is the commit of the source, with Dirty appended when the source that
	// was taken differs from it, and Tree the Git tree id of the app's folder.
	Revision, Tree string
	// Uncommitted names what differs from the commit, a line each.
	Uncommitted []string
	// Authors are the e-mail addresses of who has made the commit, where a rule asks for
	// approvals by others.
	Authors []string
	// GoSum is the sha256:… of the app's go.sum; empty when it has none.
	GoSum string
	// Locks are the other lock files whose packages were fetched for it.
	Locks []Lock
	// Toolchain is the Go toolchain as module@version and its checksum (h1:…).
	Toolchain string
	// Bases are the images that a Dockerfile takes content from, by digest.
	Bases []step.Reference
	// Fetched are the files and Git repositories that a Dockerfile adds.
	Fetched []Fetched
	// Platforms that the image is for.
	Platforms []string
	// Box is what the app's own commands were held to.
	Box    *build.Box
	Runner Runner
	// Invocation is the run's URL; empty on a laptop.
	Invocation string
}

// Lock is a file that pins packages.
type Lock struct {
	// Path is the file's in the app's folder, Digest its sha256:….
	Path, Digest string
}

// Dirty is appended to a commit's id when the source that was taken differs from it.
const Dirty = "-dirty"

// uncommittedName is the annotation of a source that names what differs.
const uncommittedName = "uncommitted"

// authorsName is the annotation of a source that names who has made its commit.
const authorsName = "authors"

// Fetched is something that was fetched for a build.
type Fetched struct {
	// URL is where it came from.
	URL string
	// Checksum is a file's sha256:…, Commit a repository's; one of the two.
	Checksum, Commit string
}

// Names of resolved dependencies.
const (
	sourceName    = "source"
	treeName      = "source tree"
	goSumName     = "go.sum"
	lockName      = "lock file"
	toolchainName = "toolchain"
	baseName      = "base image"
	fileName      = "added file"
	repoName      = "added repository"
)

// Provenance is the predicate about the build.
func (b Build) Provenance() Provenance {
	p := Provenance{
		BuildDefinition: BuildDefinition{
			BuildType: BuildType, ExternalParameters: b.Parameters,
			InternalParameters: Internal{Platforms: strings.Join(b.Platforms, ","), Box: b.Box},
		},
		RunDetails: RunDetails{Builder: BuilderID{ID: b.Runner.Builder()}},
	}
	if b.Invocation != "" {
		p.RunDetails.Metadata = map[string]string{"invocationId": b.Invocation}
	}
	add := func(d Descriptor) {
		p.BuildDefinition.ResolvedDependencies = append(p.BuildDefinition.ResolvedDependencies, d)
	}
	revision, dirty := strings.CutSuffix(b.Revision, Dirty)
	name := sourceName
	if dirty {
		// What was built is not that commit: only the tree's id says what it was.
		name += " with uncommitted changes"
	}
	source := Descriptor{Name: name, Digest: map[string]string{"gitCommit": revision}}
	switch {
	case dirty && len(b.Uncommitted) > 0:
		source.Annotations = map[string][]string{uncommittedName: b.Uncommitted}
	case !dirty && len(b.Authors) > 0:
		source.Annotations = map[string][]string{authorsName: b.Authors}
	}
	add(source)
	add(Descriptor{Name: treeName, Digest: map[string]string{"gitTree": b.Tree}})
	if b.GoSum != "" {
		add(Descriptor{Name: goSumName, Digest: DigestSet(b.GoSum)})
	}
	for _, lock := range b.Locks {
		add(Descriptor{Name: lockName + " " + lock.Path, Digest: DigestSet(lock.Digest)})
	}
	if module, sum, ok := strings.Cut(b.Toolchain, " "); ok {
		add(Descriptor{Name: toolchainName, URI: "pkg:golang/" + module, Digest: map[string]string{"dirHash": sum}})
	}
	for _, base := range b.Bases {
		add(Descriptor{Name: baseName, URI: "docker://" + base.Repository(), Digest: DigestSet(base.Digest())})
	}
	for _, f := range b.Fetched {
		if f.Commit != "" {
			add(Descriptor{Name: repoName, URI: "git+" + f.URL, Digest: map[string]string{"gitCommit": f.Commit}})
			continue
		}
		add(Descriptor{Name: fileName, URI: f.URL, Digest: DigestSet(f.Checksum)})
	}
	return p
}

// DigestSet is a digest in the form of statements; nil for what is none.
func DigestSet(digest string) map[string]string {
	algorithm, hex, ok := strings.Cut(digest, ":")
	if !ok {
		return nil
	}
	return map[string]string{algorithm: hex}
}

// SignedProvenance is provenance, and who signed it.
type SignedProvenance struct {
	Provenance
	Signer *sign.Signer
}

// Provenances are those of Slipway's build type.
func Provenances(statements []sign.Statement) []SignedProvenance {
	var all []SignedProvenance
	for _, s := range OfType(statements, ProvenanceType) {
		var p Provenance
		if json.Unmarshal(s.Predicate, &p) == nil && p.BuildDefinition.BuildType == BuildType {
			all = append(all, SignedProvenance{p, s.Signer})
		}
	}
	return all
}

// BuiltSource is the source that an image was built from.
type BuiltSource struct {
	// Commit is its Git commit; Dirty says that the source that was taken differs from it.
	Commit string
	Dirty  bool
	// Uncommitted names what differs.
	Uncommitted []string
	// Authors are the e-mail addresses of who has made the commit, where it is all of
	// it and where that was asked for.
	Authors []string
}

// Source is what the provenance says that it was built from; false without any.
func (p Provenance) Source() (BuiltSource, bool) {
	for _, d := range p.BuildDefinition.ResolvedDependencies {
		if commit := d.Digest["gitCommit"]; commit != "" {
			return BuiltSource{commit, d.Name != sourceName, d.Annotations[uncommittedName], d.Annotations[authorsName]}, true
		}
	}
	return BuiltSource{}, false
}

// Bases are the repositories of the base images that it was built on.
func (p Provenance) Bases() []string {
	var bases []string
	for _, d := range p.BuildDefinition.ResolvedDependencies {
		if d.Name == baseName {
			bases = append(bases, strings.TrimPrefix(d.URI, "docker://"))
		}
	}
	return bases
}

// Source is what an image was built from, as its provenance says: the commit, with
// Dirty behind it where that is not all, and what differs from it. One image can be
// built from several: the expected revision counts before one without the mark, and
// that before any other. Without provenance there is none.
func Source(statements []sign.Statement, expected string) (revision string, uncommitted []string) {
	best := 0
	for _, p := range Provenances(statements) {
		source, ok := p.Source()
		if !ok {
			continue
		}
		id, rank := source.Commit, 2
		if source.Dirty {
			id, rank = id+Dirty, 1
		}
		if id == expected {
			rank = 3
		}
		if rank > best {
			best, revision, uncommitted = rank, id, source.Uncommitted
		}
	}
	return revision, uncommitted
}

// Results of tests, in-toto's.
const (
	TestsPassed = "PASSED"
	TestsFailed = "FAILED"
)

// TestResult is the predicate of in-toto's test result, version 0.1.
type TestResult struct {
	Result        string       `json:"result"`
	Configuration []Descriptor `json:"configuration"`
	PassedTests   []string     `json:"passedTests"`
	WarnedTests   []string     `json:"warnedTests"`
	FailedTests   []string     `json:"failedTests"`
	// Counts are numbers of tests, beside the packages or targets that PassedTests
	// names. It is Slipway's own.
	Counts *build.Counts `json:"counts,omitempty"`
	// Box is what the tests were held to. It is Slipway's own.
	Box *build.Box `json:"box,omitempty"`
}

// Passed is the predicate of tests of a source tree that have passed.
func Passed(tree string, tests build.Tests) TestResult {
	r := TestResult{
		Result:        TestsPassed,
		Configuration: []Descriptor{{Name: treeName, Digest: map[string]string{"gitTree": tree}}},
		PassedTests:   []string{}, WarnedTests: []string{}, FailedTests: []string{},
		Counts: &tests.Counts, Box: tests.Box,
	}
	for _, p := range tests.Packages {
		if p.Passed > 0 {
			r.PassedTests = append(r.PassedTests, p.Name)
		}
	}
	return r
}
