package evidence

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"

	"slipway/step/result/scan"
	"slipway/step/result/sign"
)

func TestWhatIsAttestedAlreadyNeedsNoSignature(t *testing.T) {
	statement := func(kind, predicate string) sign.Statement {
		return sign.Statement{PredicateType: kind, Predicate: json.RawMessage(predicate)}
	}
	files := func() map[string]File {
		return map[string]File{
			"tests": {PredicateType: TestResultType, Predicate: map[string]any{"result": "PASSED", "passed": json.Number("9007199254740993")}},
			"bill":  {PredicateType: SPDXType, PredicateFile: scan.SBOM("linux/amd64", scan.SPDX)},
		}
	}
	bill := statement(SPDXType, `{}`)
	same := statement(TestResultType, ` {"passed": 9007199254740993, "result": "PASSED"} `)
	assert.True(t, Attested([]sign.Statement{statement(TestResultType, `{"result":"FAILED"}`), bill, same}, files()), "in any order, beside others")
	for name, others := range map[string][]sign.Statement{
		"nothing":                {},
		"no bill":                {same},
		"no result":              {bill},
		"another result":         {bill, statement(TestResultType, `{"passed":9007199254740993,"result":"FAILED"}`)},
		"one that says more":     {bill, statement(TestResultType, `{"passed":9007199254740993,"result":"PASSED","more":1}`)},
		"a number nearly as big": {bill, statement(TestResultType, `{"passed":9007199254740992,"result":"PASSED"}`)},
		"the same of a type":     {bill, statement(ProvenanceType, string(same.Predicate))},
		"no JSON":                {bill, statement(TestResultType, `{`)},
		"nothing in it":          {bill, statement(TestResultType, ``)},
	} {
		assert.False(t, Attested(others, files()), name)
	}
	unsayable := files()
	unsayable["more"] = File{PredicateType: TestResultType, Predicate: func() {}}
	assert.False(t, Attested([]sign.Statement{bill, same}, unsayable))
}

func TestAnAdmissionIsForOneEnvironment(t *testing.T) {
	dev := Admission{App: "hello", Environment: "dev"}
	assert.Equal(t, "https://slipway.dev/attestations/admission/v1/dev", dev.Type(), "as the cluster's policy asks for it")
	text, err := dev.File().Encode()
	assert.NoError(t, err)
	assert.JSONEq(t, `{"predicateType": "https://slipway.dev/attestations/admission/v1/dev", "predicate": {"app": "hello", "environment": "dev"}}`, text)

	given := []sign.Statement{{PredicateType: dev.Type(), Predicate: json.RawMessage(`{"environment": "dev", "app": "hello"}`)}}
	for admission, want := range map[Admission]bool{dev: true, {App: "pages", Environment: "dev"}: false, {App: "hello", Environment: "staging"}: false} {
		assert.Equal(t, want, Attested(given, map[string]File{"admission": admission.File()}), admission)
	}
	for kind, want := range map[string]bool{dev.Type(): true, SummaryType: true, ApprovalType: false, ScanType: false, ReceiptType: false} {
		assert.Equal(t, want, Follows(kind), kind)
	}
	env, ok := AdmissionTo(dev.Type())
	assert.Equal(t, "dev true", env+" "+map[bool]string{true: "true"}[ok])
	_, ok = AdmissionTo(SummaryType)
	assert.False(t, ok)
}
