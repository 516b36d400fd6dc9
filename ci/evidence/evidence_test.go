package evidence_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/ci/evidence"
	"slipway/step"
	result "slipway/step/result/build"
	"slipway/step/result/sign"
)

const (
	tree     = "7683800c8bdf9d966edd54d596f5dd606f2b525c"
	revision = "a011b6316ed3501e1f5b3f1321137a6d6c8cdbb6"
)

func build() evidence.Build {
	return evidence.Build{
		Parameters: evidence.Parameters{App: "hello", Recipe: "go", Package: "./cmd/hello"},
		Revision:   revision, Tree: tree, GoSum: "sha256:01", Toolchain: "golang.org/toolchain@v0.0.1-go1.26.4.linux-amd64 h1:abc=",
		Bases: []step.Reference{"registry.example/base/static@sha256:02"}, Platforms: []string{"linux/amd64", "linux/arm64"}, Runner: evidence.RunnerLocal,
	}
}

func statement(t *testing.T, predicateType string, predicate any) sign.Statement {
	t.Helper()
	data, err := json.Marshal(predicate)
	require.NoError(t, err)
	return sign.Statement{PredicateType: predicateType, Predicate: data, Referrer: "sha256:" + predicateType[len(predicateType)-2:]}
}

func TestProvenance(t *testing.T) {
	data, err := json.Marshal(build().Provenance())
	require.NoError(t, err)
	assert.JSONEq(t, `{
		"buildDefinition": {
			"buildType": "https://slipway.dev/build-types/app/v1",
			"externalParameters": {"app": "hello", "recipe": "go", "package": "./cmd/hello"},
			"internalParameters": {"platforms": "linux/amd64,linux/arm64"},
			"resolvedDependencies": [
				{"name": "source", "digest": {"gitCommit": "`+revision+`"}},
				{"name": "source tree", "digest": {"gitTree": "`+tree+`"}},
				{"name": "go.sum", "digest": {"sha256": "01"}},
				{"name": "toolchain", "uri": "pkg:golang/golang.org/toolchain@v0.0.1-go1.26.4.linux-amd64", "digest": {"dirHash": "h1:abc="}},
				{"name": "base image", "uri": "docker://registry.example/base/static", "digest": {"sha256": "02"}}
			]
		},
		"runDetails": {"builder": {"id": "https://slipway.dev/builders/local/v1"}}
	}`, string(data))

	b := build()
	b.Revision, b.GoSum, b.Bases, b.Runner, b.Invocation = revision+"-dirty", "", nil, evidence.RunnerGitHub, "https://github.com/acme/platform/actions/runs/1"
	p := b.Provenance()
	assert.Equal(t, evidence.Descriptor{Name: "source with uncommitted changes", Digest: map[string]string{"gitCommit": revision}}, p.BuildDefinition.ResolvedDependencies[0])
	assert.Len(t, p.BuildDefinition.ResolvedDependencies, 3)
	b.Uncommitted = []string{"added apps/hello/zz_local.go"}
	data, err = json.Marshal(b.Provenance().BuildDefinition.ResolvedDependencies[0])
	require.NoError(t, err)
	assert.JSONEq(t, `{"name": "source with uncommitted changes", "digest": {"gitCommit": "`+revision+`"}, "annotations": {"uncommitted": ["added apps/hello/zz_local.go"]}}`, string(data))
	assert.Equal(t, "https://slipway.dev/builders/github-actions/v1", p.RunDetails.Builder.ID)
	assert.Equal(t, map[string]string{"invocationId": "https://github.com/acme/platform/actions/runs/1"}, p.RunDetails.Metadata)
}

// A release's source is what provenance says, and not what a caller does.
func TestSource(t *testing.T) {
	clean := build()
	dirty := build()
	dirty.Revision, dirty.Uncommitted = strings.Repeat("b", 40)+evidence.Dirty, []string{"changed slipway.yaml"}
	foreign := clean.Provenance()
	foreign.BuildDefinition.BuildType = "https://example.org/build"
	provenance := func(p evidence.Provenance) sign.Statement {
		return statement(t, evidence.ProvenanceType, p)
	}
	for name, tc := range map[string]struct {
		statements  []sign.Statement
		expected    string
		revision    string
		uncommitted []string
	}{
		"the only one":                   {[]sign.Statement{provenance(clean.Provenance())}, "", revision, nil},
		"another was expected":           {[]sign.Statement{provenance(clean.Provenance())}, strings.Repeat("c", 40), revision, nil},
		"the only one, dirty":            {[]sign.Statement{provenance(dirty.Provenance())}, strings.Repeat("b", 40), dirty.Revision, dirty.Uncommitted},
		"a clean one before a dirty one": {[]sign.Statement{provenance(dirty.Provenance()), provenance(clean.Provenance())}, "", revision, nil},
		"the expected one":               {[]sign.Statement{provenance(clean.Provenance()), provenance(dirty.Provenance())}, dirty.Revision, dirty.Revision, dirty.Uncommitted},
		"none":                           {nil, revision, "", nil},
		"none that is ours":              {[]sign.Statement{provenance(foreign), statement(t, evidence.ProvenanceType, []int{1})}, "", "", nil},
	} {
		got, uncommitted := evidence.Source(tc.statements, tc.expected)
		assert.Equal(t, tc.revision, got, name)
		assert.Equal(t, tc.uncommitted, uncommitted, name)
	}
}

func TestProvenanceNamesWhatADockerfileAdds(t *testing.T) {
	b := build()
	b.Args, b.Target, b.Secrets = map[string]string{"A": "1"}, "app", []string{"npm"}
	b.Locks = []evidence.Lock{{Path: "web/package-lock.json", Digest: "sha256:04"}}
	b.Fetched = []evidence.Fetched{{URL: "https://example.org/t.tgz", Checksum: "sha256:03"}, {URL: "https://example.org/x.git", Commit: revision}}
	p := b.Provenance()
	dependencies := p.BuildDefinition.ResolvedDependencies
	assert.Equal(t, []evidence.Descriptor{
		{Name: "added file", URI: "https://example.org/t.tgz", Digest: map[string]string{"sha256": "03"}},
		{Name: "added repository", URI: "git+https://example.org/x.git", Digest: map[string]string{"gitCommit": revision}},
	}, dependencies[len(dependencies)-2:])
	assert.Contains(t, dependencies, evidence.Descriptor{Name: "lock file web/package-lock.json", Digest: map[string]string{"sha256": "04"}})
	data, err := json.Marshal(p.BuildDefinition.ExternalParameters)
	require.NoError(t, err)
	assert.JSONEq(t, `{"app":"hello","recipe":"go","package":"./cmd/hello","args":{"A":"1"},"target":"app","secrets":["npm"]}`, string(data))
}

func TestBills(t *testing.T) {
	assert.Equal(t, map[string]evidence.File{
		"sbom-image-linux-amd64-cyclonedx": {PredicateType: evidence.CycloneDXType, PredicateFile: "sbom/image-linux-amd64.cdx.json"},
		"sbom-image-linux-amd64-spdx":      {PredicateType: evidence.SPDXType, PredicateFile: "sbom/image-linux-amd64.spdx.json"},
		"sbom-image-linux-arm64-cyclonedx": {PredicateType: evidence.CycloneDXType, PredicateFile: "sbom/image-linux-arm64.cdx.json"},
		"sbom-image-linux-arm64-spdx":      {PredicateType: evidence.SPDXType, PredicateFile: "sbom/image-linux-arm64.spdx.json"},
		"sbom-source-cyclonedx":            {PredicateType: evidence.CycloneDXType, PredicateFile: "sbom/source.cdx.json"},
		"sbom-source-spdx":                 {PredicateType: evidence.SPDXType, PredicateFile: "sbom/source.spdx.json"},
	}, evidence.Bills([]string{"linux/amd64", "linux/arm64"}))
}

func TestProvenanceNamesEachOfSeveral(t *testing.T) {
	b := build()
	b.Authors, b.Uncommitted = []string{"ada@acme.example", "jo@acme.example"}, []string{"changed a"}
	b.Locks = []evidence.Lock{{Path: "a.json", Digest: "sha256:04"}, {Path: "b.json", Digest: "05"}}
	b.Bases = append(b.Bases, "registry.example/base/node@sha256:06")
	p := b.Provenance()
	assert.Equal(t, []evidence.Descriptor{
		{Name: "source", Digest: map[string]string{"gitCommit": revision}, Annotations: map[string][]string{"authors": b.Authors}},
		{Name: "source tree", Digest: map[string]string{"gitTree": tree}},
		{Name: "go.sum", Digest: map[string]string{"sha256": "01"}},
		{Name: "lock file a.json", Digest: map[string]string{"sha256": "04"}}, {Name: "lock file b.json"},
		{Name: "toolchain", URI: "pkg:golang/golang.org/toolchain@v0.0.1-go1.26.4.linux-amd64", Digest: map[string]string{"dirHash": "h1:abc="}},
		{Name: "base image", URI: "docker://registry.example/base/static", Digest: map[string]string{"sha256": "02"}},
		{Name: "base image", URI: "docker://registry.example/base/node", Digest: map[string]string{"sha256": "06"}},
	}, p.BuildDefinition.ResolvedDependencies)
	assert.Equal(t, []string{"registry.example/base/static", "registry.example/base/node"}, p.Bases())
	source, ok := p.Source()
	assert.True(t, ok)
	assert.Equal(t, evidence.BuiltSource{Commit: revision, Authors: b.Authors}, source)

	p.BuildDefinition.ResolvedDependencies[0], p.BuildDefinition.ResolvedDependencies[5] = p.BuildDefinition.ResolvedDependencies[5], p.BuildDefinition.ResolvedDependencies[0]
	source, ok = p.Source()
	assert.True(t, ok)
	assert.Equal(t, revision, source.Commit, "wherever it stands")
	_, ok = evidence.Provenance{}.Source()
	assert.False(t, ok)

	b.Revision += evidence.Dirty
	assert.Equal(t, map[string][]string{"uncommitted": {"changed a"}}, b.Provenance().BuildDefinition.ResolvedDependencies[0].Annotations, "whose it is isn't known")
	b.Uncommitted = nil
	assert.Nil(t, b.Provenance().BuildDefinition.ResolvedDependencies[0].Annotations)
}

// Of several sources the one that was expected counts, then a clean one, then the first.
func TestTheSourceOfSeveral(t *testing.T) {
	of := func(letter, mark string) sign.Statement {
		b := build()
		b.Revision = strings.Repeat(letter, 40) + mark
		return statement(t, evidence.ProvenanceType, b.Provenance())
	}
	none := build().Provenance()
	none.BuildDefinition.ResolvedDependencies = nil
	for name, tc := range map[string]struct {
		statements []sign.Statement
		expected   string
		want       string
	}{
		"the first clean one":      {[]sign.Statement{of("a", ""), of("b", "")}, "", strings.Repeat("a", 40)},
		"the first dirty one":      {[]sign.Statement{of("a", "-dirty"), of("b", "-dirty")}, "", strings.Repeat("a", 40) + "-dirty"},
		"the expected one, second": {[]sign.Statement{of("a", ""), of("b", "")}, strings.Repeat("b", 40), strings.Repeat("b", 40)},
		"the expected one, first":  {[]sign.Statement{of("b", "-dirty"), of("a", "")}, strings.Repeat("b", 40) + "-dirty", strings.Repeat("b", 40) + "-dirty"},
		"after one of none":        {[]sign.Statement{statement(t, evidence.ProvenanceType, none), of("b", "-dirty")}, "", strings.Repeat("b", 40) + "-dirty"},
	} {
		got, _ := evidence.Source(tc.statements, tc.expected)
		assert.Equal(t, tc.want, got, name)
	}
}

func TestPassedNamesWhatHasRun(t *testing.T) {
	tests := result.Tests{Counts: result.Counts{Passed: 3, Skipped: 1}, Packages: []result.TestPackage{
		{Name: "a", Counts: result.Counts{Passed: 1}}, {Name: "b", Counts: result.Counts{Skipped: 1}}, {Name: "c", Counts: result.Counts{Passed: 2}},
	}}
	r := evidence.Passed(tree, tests)
	assert.Equal(t, evidence.TestResult{
		Result: evidence.TestsPassed, Configuration: []evidence.Descriptor{{Name: "source tree", Digest: map[string]string{"gitTree": tree}}},
		PassedTests: []string{"a", "c"}, WarnedTests: []string{}, FailedTests: []string{}, Counts: &tests.Counts,
	}, r)
}

func TestRunnersAndDigests(t *testing.T) {
	assert.Equal(t, []evidence.Runner{evidence.RunnerLocal, evidence.RunnerGitHub, evidence.RunnerAzure}, evidence.Runners)
	assert.Equal(t, map[string]string{"sha256": "01"}, evidence.DigestSet("sha256:01"))
	assert.Nil(t, evidence.DigestSet("01"))
	text, err := evidence.File{PredicateType: "a", Predicate: 1}.Encode()
	require.NoError(t, err)
	assert.Equal(t, `{"predicateType":"a","predicate":1}`, text)
	_, err = evidence.File{Predicate: func() {}}.Encode()
	require.Error(t, err)
}
