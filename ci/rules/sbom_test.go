package rules_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"slipway/ci/evidence"
	"slipway/ci/rules"
	"slipway/step/result/sign"
)

// cycloneDX is a bill of materials as Trivy writes it of an image for a platform.
func cycloneDX(platform string) json.RawMessage {
	return json.RawMessage(`{"bomFormat":"CycloneDX","specVersion":"1.6",
	"metadata":{"component":{"type":"container","properties":[
		{"name":"aquasecurity:trivy:Labels:slipway:platform","value":"linux/s390x"},{"name":"slipway:platform","value":"` + platform + `"}]}},
	"components":[
	{"type":"operating-system","name":"debian","version":"12.11"},
	{"type":"application","name":"app"},
	{"type":"library","name":"golang.org/x/text","version":"v0.3.8","licenses":[{"license":{"id":"BSD-3-Clause"}}]},
	{"type":"library","name":"example.org/both","version":"v1.0.0","licenses":[{"expression":"MIT OR AGPL-3.0-only"}]},
	{"type":"library","name":"example.org/silent","version":"v1.0.0"}]}`)
}

// spdx is the same as SPDX.
func spdx(platform string) json.RawMessage {
	return json.RawMessage(`{"spdxVersion":"SPDX-2.3","packages":[
	{"primaryPackagePurpose":"LIBRARY","annotations":[{"comment":"slipway:platform: linux/s390x"}]},
	{"primaryPackagePurpose":"CONTAINER","annotations":[{"comment":"Labels:slipway:platform: linux/s390x"},{"comment":"slipway:platform: ` + platform + `"}]}]}`)
}

func TestEachPlatformNeedsItsBills(t *testing.T) {
	const missing = "no CycloneDX and SPDX documents are about its image for "
	for name, c := range map[string]struct {
		spoil  func(*rules.Evidence)
		reason string
	}{
		"no CycloneDX for one": {swap(evidence.CycloneDXType, "linux/arm64", cycloneDX("linux/amd64")), missing + "linux/arm64"},
		"no SPDX for one":      {swap(evidence.SPDXType, "linux/arm64", spdx("linux/amd64")), missing + "linux/arm64"},
		"no SPDX for another":  {swap(evidence.SPDXType, "linux/amd64", spdx("linux/arm64")), missing + "linux/amd64"},
		"a source's instead":   {swap(evidence.CycloneDXType, "linux/amd64", cycloneDX("")), missing + "linux/amd64"},
		"one of both, as before there was one for each": {swap(evidence.CycloneDXType, "linux/amd64", json.RawMessage(`{"bomFormat":"CycloneDX",
			"metadata":{"component":{"components":[{"properties":[{"name":"slipway:platform","value":"linux/amd64"}]}]}}}`)), missing + "linux/amd64"},
		"a platform that only a label names": {platforms("linux/amd64", "linux/s390x"), missing + "linux/s390x"},
		"a platform more":                    {platforms("linux/amd64", "linux/arm64", "linux/riscv64"), missing + "linux/riscv64"},
		"platforms that nobody names":        {platforms(), "no provenance says which platforms"},
		"no provenance": {func(in *rules.Evidence) {
			in.Statements = slices.DeleteFunc(in.Statements, func(s sign.Statement) bool { return s.PredicateType == evidence.ProvenanceType })
		}, "no provenance says which platforms"},
	} {
		in := complete(t)
		c.spoil(&in)
		outcome := verdicts(rules.Judge(in))[rules.RequireSBOM]
		assert.Equal(t, rules.Refuse, outcome.Verdict, name)
		assert.Contains(t, outcome.Reason, c.reason, name)
		assert.NotEmpty(t, outcome.Mend, name)
	}
	in := complete(t)
	platforms("linux/arm64")(&in)
	assert.Equal(t, rules.Pass, verdicts(rules.Judge(in))[rules.RequireSBOM].Verdict, "one bill more than there are platforms")
	swap(evidence.CycloneDXType, "linux/arm64", cycloneDX("linux/arm64/v8"))(&in)
	swap(evidence.SPDXType, "linux/arm64", spdx("linux/arm64/v8"))(&in)
	assert.Equal(t, rules.Pass, verdicts(rules.Judge(in))[rules.RequireSBOM].Verdict, "an image that says its variant, too")
}

// swap puts another document in the place of a platform's.
func swap(predicateType, platform string, document json.RawMessage) func(*rules.Evidence) {
	return func(in *rules.Evidence) {
		for i, s := range in.Statements {
			if s.PredicateType == predicateType && strings.Contains(string(s.Predicate), platform) {
				in.Statements[i].Predicate = document
			}
		}
	}
}

// platforms makes the provenance name these.
func platforms(names ...string) func(*rules.Evidence) {
	return func(in *rules.Evidence) {
		b := build()
		b.Platforms = names
		for i, s := range in.Statements {
			if s.PredicateType == evidence.ProvenanceType {
				in.Statements[i].Predicate, _ = json.Marshal(b.Provenance())
			}
		}
	}
}

func TestALicenceOfOnePlatformAloneIsJudged(t *testing.T) {
	in := complete(t)
	swap(evidence.CycloneDXType, "linux/arm64", json.RawMessage(strings.Replace(string(cycloneDX("linux/arm64")), "BSD-3-Clause", "AGPL-3.0-only", 1)))(&in)
	outcome := verdicts(rules.Judge(in))[rules.RequireLicences]
	assert.Equal(t, rules.Refuse, outcome.Verdict)
	assert.Contains(t, outcome.Reason, "golang.org/x/text v0.3.8 (AGPL-3.0-only)")
}

func TestADocumentIsOfItsType(t *testing.T) {
	for name, tc := range map[string]struct {
		predicateType string
		text          json.RawMessage
		reason        string
	}{
		"CycloneDX as SPDX":   {evidence.SPDXType, cycloneDX("linux/amd64"), "2 CycloneDX and 0 SPDX documents are attested"},
		"SPDX as CycloneDX":   {evidence.CycloneDXType, spdx("linux/amd64"), "0 CycloneDX and 2 SPDX documents are attested"},
		"another SPDX":        {evidence.SPDXType, json.RawMessage(strings.Replace(string(spdx("linux/amd64")), "SPDX-2.3", "SPDX-3.0", 1)), "2 CycloneDX and 0 SPDX documents are attested"},
		"another CycloneDX":   {evidence.CycloneDXType, json.RawMessage(strings.Replace(string(cycloneDX("linux/amd64")), `"CycloneDX"`, `"cyclone"`, 1)), "0 CycloneDX and 2 SPDX documents are attested"},
		"an unreadable one":   {evidence.SPDXType, json.RawMessage(`[]`), "2 CycloneDX and 0 SPDX documents are attested"},
		"one with everything": {evidence.SPDXType, json.RawMessage(`{"bomFormat":"CycloneDX","specVersion":"1.6","spdxVersion":""}`), "2 CycloneDX and 0 SPDX documents are attested"},
	} {
		in := complete(t)
		for n, s := range in.Statements {
			if s.PredicateType == tc.predicateType {
				in.Statements[n].Predicate = tc.text
			}
		}
		assert.Equal(t, tc.reason, verdicts(rules.Judge(in))[rules.RequireSBOM].Reason, name)
	}
}

// The platforms are those of every build, and each needs both documents.
func TestThePlatformsOfEachBuildNeedTheirBills(t *testing.T) {
	b := build()
	for _, platforms := range [][]string{{"linux/arm64", "linux/riscv64"}, {"linux/386"}} {
		b.Platforms = platforms
		in := complete(t)
		in.Statements = append(in.Statements, second(statement(t, evidence.ProvenanceType, b.Provenance())))
		missing := platforms[len(platforms)-1]
		assert.Equal(t, "no CycloneDX and SPDX documents are about its image for "+missing, verdicts(rules.Judge(in))[rules.RequireSBOM].Reason)
		in.Statements = append(in.Statements, statement(t, evidence.CycloneDXType, json.RawMessage(`{"bomFormat":"CycloneDX","components":[{},{},{},{},{},{},{}],"metadata":{"component":{"properties":[{"name":"slipway:platform","value":"`+missing+`"}]}}}`)))
		assert.Equal(t, "no CycloneDX and SPDX documents are about its image for "+missing, verdicts(rules.Judge(in))[rules.RequireSBOM].Reason)
		in.Statements = append(in.Statements, statement(t, evidence.SPDXType, spdx(missing)))
		assert.Equal(t, "CycloneDX and SPDX documents of 7 components", verdicts(rules.Judge(in))[rules.RequireSBOM].Reason, "the longest")
	}
	// Of two platforms that lack theirs the first by name is told.
	b.Platforms = []string{"linux/s390x"}
	first := build()
	first.Platforms = []string{"linux/zos"}
	in := complete(t)
	in.Statements = append(in.Statements, second(statement(t, evidence.ProvenanceType, first.Provenance())), second(statement(t, evidence.ProvenanceType, b.Provenance())))
	assert.Equal(t, "no CycloneDX and SPDX documents are about its image for linux/s390x", verdicts(rules.Judge(in))[rules.RequireSBOM].Reason)
}

// A component that names several licences needs each of them; what refuses is named once.
func TestEachLicenceOfAComponentCounts(t *testing.T) {
	in := complete(t)
	in.Rules.Rules = []rules.Rule{{Require: rules.RequireLicences, Deny: []string{"AGPL-*", "SSPL-*"}, Unknown: rules.ActionReport}}
	for _, licences := range []string{`{"license":{"id":"MIT"}},{"license":{"name":"AGPL-3.0-only"}},{"expression":"SSPL-1.0"}`, `{"license":{"name":"AGPL-3.0-only"}},{"license":{}},{"expression":"SSPL-1.0"},{"license":{"id":"MIT"}}`} {
		bill := json.RawMessage(`{"bomFormat":"CycloneDX","components":[{"name":"x","version":"1","licenses":[` + licences + `]},{"name":"x","version":"1","licenses":[` + licences + `]}]}`)
		for n, s := range in.Statements {
			if s.PredicateType == evidence.CycloneDXType {
				in.Statements[n].Predicate = bill
			}
		}
		assert.Equal(t, "it holds x 1 (AGPL-3.0-only), x 1 (SSPL-1.0)", verdicts(rules.Judge(in))[rules.RequireLicences].Reason)
	}
}
