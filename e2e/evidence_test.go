//go:build e2e

package e2e

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// judgement is what inspect and verify say as JSON.
type judgement struct {
	Reference, Environment, PolicyDigest string
	Outcomes                             []struct{ Rule, Verdict, Reason, Mend string }
	Inputs                               []struct {
		URI    string            `json:"uri"`
		Digest map[string]string `json:"digest"`
	}
}

func (j judgement) verdicts() map[string]string {
	all := map[string]string{}
	for _, o := range j.Outcomes {
		all[o.Rule] = o.Verdict
	}
	return all
}

func inspect(t *testing.T, p *platform, dir, reference, env string) judgement {
	t.Helper()
	out, err := p.call(dir, p.options(), "inspect", "--reference", reference, "--env", env, "json")
	require.NoError(t, err)
	var j judgement
	require.NoError(t, json.Unmarshal([]byte(out), &j), out)
	return j
}

// referrers is the list of what refers to an image of hello, where a registry
// without the referrers API has it: the tag schema's.
func referrers(t *testing.T, p *platform, digest string) string {
	t.Helper()
	status, list := fetch(t, p, "/v2/hello/manifests/"+strings.Replace(digest, ":", "-", 1), indexType)
	require.Equal(t, http.StatusOK, status)
	return string(list)
}

func TestAReleasedImageCarriesItsEvidence(t *testing.T) {
	p := shared
	digest := published(t, p)
	reference := "localhost:5000/hello@" + digest

	j := inspect(t, p, p.repo, reference, "dev")
	assert.Equal(t, map[string]string{"scan": "pass", "tests": "pass", "sbom": "pass", "provenance": "pass", "base-images": "pass"}, j.verdicts())
	var types []string
	for _, input := range j.Inputs {
		types = append(types, input.URI)
		assert.Regexp(t, "^[0-9a-f]{64}$", input.Digest["sha256"], input.URI)
	}
	for _, wanted := range []string{
		"https://sigstore.dev/cosign/sign/v1", "https://in-toto.io/attestation/vulns/v0.2",
		"https://slsa.dev/provenance/v1", "https://in-toto.io/attestation/test-result/v0.1",
		"https://cyclonedx.org/bom", "https://spdx.dev/Document",
	} {
		assert.Contains(t, types, wanted)
	}

	t.Run("the release's own decision answers again", func(t *testing.T) {
		out, err := p.call(p.repo, p.options(), "verify", "--reference", reference, "--env", "dev", "answered")
		require.NoError(t, err)
		assert.Equal(t, "true", strings.TrimSpace(out))
		out, err = p.call(p.repo, p.options(), "inspect", "--reference", reference, "--env", "production", "answered")
		require.NoError(t, err)
		assert.Equal(t, "false", strings.TrimSpace(out), "it was not released there")
		assert.Contains(t, referrers(t, p, digest), `"artifactType":"application/vnd.dsse.envelope.v1+json"`, "a summary that needs no bundle to be read")
	})

	t.Run("delivering it again attests nothing new", func(t *testing.T) {
		before := referrers(t, p, digest)
		deliver(t, p, p.repo, "hello", "dev")
		assert.JSONEq(t, before, referrers(t, p, digest))
	})

	t.Run("a rule warns until its day, and refuses from then on", func(t *testing.T) {
		const rules = "  rules:\n"
		text := read(t, p.repo+"/slipway.yaml")
		require.Contains(t, text, rules)
		for from, verdict := range map[string]string{"2999-01-01": "warn", "2026-01-01": "refuse"} {
			dir := source(t, map[string]string{"slipway.yaml": strings.Replace(text, rules,
				rules+"    - {require: provenance, runners: [azure-devops], from: \""+from+"\"}\n", 1)})
			j := inspect(t, p, dir, reference, "dev")
			require.NotEmpty(t, j.Outcomes)
			assert.Equal(t, "provenance "+verdict, j.Outcomes[0].Rule+" "+j.Outcomes[0].Verdict)
			assert.Contains(t, j.Outcomes[0].Reason, "it was built by https://slipway.dev/builders/local/v1")
			_, err := p.call(dir, p.options(), "signed", "--app", "hello", "--digest", digest, "verify", "--env", "dev", "reference")
			if verdict == "warn" {
				require.NoError(t, err)
			} else {
				refused(t, err, "verify: refused by policy: "+reference+": is not fit for dev: provenance: it was built by", "build it on one of [azure-devops]", "pass   scan: ")
			}
		}
	})

	t.Run("what has no signature is refused, not judged", func(t *testing.T) {
		copyUnsigned(t, p, digest, indexType)
		for _, verb := range []string{"inspect", "verify"} {
			_, err := p.call(p.repo, p.options(), verb, "--reference", "localhost:5000/unsigned/hello@"+digest, "--env", "dev", "text")
			refused(t, err, "verify: refused by policy: localhost:5000/unsigned/hello@"+digest+": has no signature")
		}
	})
}

func TestFailingTestsAreRefusedAndNothingIsPushed(t *testing.T) {
	p := shared
	const name = "apps/hello/greeting/wrong_test.go"
	dir := source(t, map[string]string{
		name: "package greeting\n\nimport \"testing\"\n\nfunc TestWrong(t *testing.T) { t.Error(\"this is wrong\") }\n",
	})
	digest, err := p.call(dir, p.options(), "app", "--name", "hello", "build", "digest")
	require.NoError(t, err)
	_, err = p.call(dir, p.options(), "app", "--name", "hello", "build", "scan", "publish", "reference")
	refused(t, err, "test: refused by policy: app hello: its own tests fail", "this is wrong", "go -C apps/hello test ./...")
	status, _ := fetch(t, p, "/v2/hello/manifests/"+strings.TrimSpace(digest), indexType)
	assert.Equal(t, http.StatusNotFound, status)
}
