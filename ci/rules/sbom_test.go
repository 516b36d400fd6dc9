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
