//go:build e2e

package e2e

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
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

func TestEvidenceOfAReleasedImage(t *testing.T) {
	p := shared
	digest := published(t, p)
	reference := "localhost:5000/hello@" + digest

	j := inspect(t, p, p.repo, reference, "dev")
	assert.Equal(t, map[string]string{"scan": "pass", "tests": "pass", "sbom": "pass", "provenance": "pass", "base-images": "pass", "box": "pass"}, j.verdicts())
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
		dir := source(t, map[string]string{"slipway.yaml": strings.Replace(read(t, p.repo+"/slipway.yaml"), "  staging: {}\n", "  staging: {}\n  elsewhere: {}\n", 1)})
		out, err = p.call(dir, p.options(), "inspect", "--reference", reference, "--env", "elsewhere", "answered")
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

const receiptType = "https://slipway.dev/attestations/receipt/v1"

// changedBundle is a copy of a bundle whose signed text says another word.
func changedBundle(t *testing.T, file, word, other string) string {
	t.Helper()
	var b map[string]json.RawMessage
	require.NoError(t, json.Unmarshal([]byte(read(t, file)), &b))
	var envelope struct {
		Payload     []byte          `json:"payload"`
		PayloadType string          `json:"payloadType"`
		Signatures  json.RawMessage `json:"signatures"`
	}
	require.NoError(t, json.Unmarshal(b["dsseEnvelope"], &envelope))
	require.Contains(t, string(envelope.Payload), word)
	envelope.Payload = []byte(strings.Replace(string(envelope.Payload), word, other, 1))
	var err error
	b["dsseEnvelope"], err = json.Marshal(envelope)
	require.NoError(t, err)
	data, err := json.Marshal(b)
	require.NoError(t, err)
	changed := filepath.Join(t.TempDir(), "changed.sigstore.json")
	write(t, changed, string(data))
	return changed
}

// receiptVerifies asks for a bundle to be verified, with a checkout beside it, by a
// pipeline that has nothing but the public key: no registry, no Git remote, no
// cluster and no signing key. It refuses what was changed.
func receiptVerifies(t *testing.T, p *platform, bundle string) {
	t.Helper()
	verify := func(bundle, key, checkout, leaf string) (string, error) {
		return p.call(p.repo, nil, "receipt-verify", "--bundle", bundle, "--public-key", p.file(key), "--repository", checkout, leaf)
	}
	checkout := p.remote(t)
	out, err := verify(bundle, "keys/cosign.pub", checkout, "checked")
	require.NoError(t, err)
	for _, line := range []string{"signature: by the key ", "decision: sha256:", "commit: ", "evidence: this decision sha256:"} {
		assert.Contains(t, out, line)
	}
	again := filepath.Join(t.TempDir(), "again.sigstore.json")
	_, err = p.call(p.repo, nil, "receipt-verify", "--bundle", bundle, "--public-key", p.file("keys/cosign.pub"), "bundle", "export", "--path", again)
	require.NoError(t, err)
	assert.Equal(t, read(t, bundle), read(t, again))

	_, err = verify(changedBundle(t, bundle, `"health":"Healthy"`, `"health":"healthy"`), "keys/cosign.pub", checkout, "checked")
	refused(t, err, "verify: refused by policy: bundle: is not trusted")
	if _, err := os.Stat(p.file("receipt-stranger")); err != nil {
		_, err = p.run(p.repo, "-m", "modules/sign", "call", "keygen", "--password", "file:"+p.file("password"), "export", "--path", p.file("receipt-stranger"))
		require.NoError(t, err)
	}
	_, err = verify(bundle, "receipt-stranger/cosign.pub", checkout, "checked")
	refused(t, err, "verify: refused by policy: bundle: is not trusted")
	git(t, checkout, "checkout", "-q", "--detach", git(t, checkout, "rev-list", "--max-parents=0", "HEAD"))
	_, err = verify(bundle, "keys/cosign.pub", checkout, "checked")
	refused(t, err, "receipt: refused by policy: commit ", "is not in the history of the checkout's head")
}

// signing are the arguments of a call of the sign module at the tests' registry, with
// its account: by who signs or must have signed, and then a verb.
func (p *platform) signing(by []string, verb ...string) []string {
	return slices.Concat([]string{"-m", "modules/sign", "call", "with-account"}, p.as("images"), by, verb,
		[]string{"--service", "tcp://" + p.sandbox, "--connect", "localhost:5000=registry:" + p.sandbox[strings.Index(p.sandbox, ":")+1:]})
}

// attestHealthy completes the document of a release that was made here, signs it and
// returns the image's reference. Without a cluster nobody sees a release healthy, so
// the test states that, by one of the sign module's signers.
func attestHealthy(t *testing.T, p *platform, d map[string]any, by ...string) string {
	t.Helper()
	stages := d["stages"].([]any)
	d["live"] = map[string]any{
		"syncedRevision": d["gitops"].(map[string]any)["commit"], "health": "Healthy", "healthyAt": stages[len(stages)-1].(map[string]any)["startedAt"],
	}
	statements := t.TempDir()
	statement, err := json.Marshal(map[string]any{"predicateType": receiptType, "predicate": d})
	require.NoError(t, err)
	write(t, filepath.Join(statements, "receipt.statement.json"), string(statement))
	reference := d["image"].(map[string]any)["reference"].(string)
	out, err := p.run(p.repo, p.signing(by, "attest", "--reference", reference, "--statements", statements)...)
	require.NoError(t, err)
	var attested struct {
		Value struct{ Attestations []struct{ Referrer string } }
	}
	require.NoError(t, json.Unmarshal([]byte(out), &attested), out)
	require.Len(t, attested.Value.Attestations, 1, out)
	return reference
}

func TestEvidenceAReceiptVerifiesOffline(t *testing.T) {
	p := shared
	dir := source(t, map[string]string{"apps/hello/greeting/note.go": "package greeting\n\nimport \"os\"\n\nfunc init() {\n\tif len(os.Args) > 1000 {\n\t\tprintln(\"another image\")\n\t}\n}\n"})
	out, err := p.call(dir, append(p.options(), p.terraform(t)...), "deliver", "--app", "hello", "--env", "dev", "--older", "document")
	require.NoError(t, err)
	var d map[string]any
	require.NoError(t, json.Unmarshal([]byte(out), &d), out)
	gitops := d["gitops"].(map[string]any)
	require.Equal(t, true, gitops["created"], "a new image is a new release")
	assert.Equal(t, d["decision"].(map[string]any)["digest"], gitops["evidence"])
	commit := gitops["commit"].(string)
	assert.Equal(t, gitops["evidence"], git(t, p.remote(t), "show", "-s", "--format=%(trailers:key=Slipway-Evidence,valueonly)", commit))

	t.Run("delivering it again says what that commit's trailer says", func(t *testing.T) {
		again := deliver(t, p, dir, "hello", "dev")
		assert.False(t, again.ReleaseCreated)
		assert.Equal(t, commit+" "+gitops["evidence"].(string), again.GitopsCommit+" "+again.GitopsEvidence)
	})

	reference := attestHealthy(t, p, d, "key-file", "--key", "file:"+p.file("keys/cosign.key"), "--password", "file:"+p.file("password"))
	bundle := filepath.Join(t.TempDir(), "receipt.sigstore.json")
	_, err = p.call(p.repo, p.options(), "receipt", "--app", "hello", "--env", "dev", "bundle", "export", "--path", bundle)
	require.NoError(t, err)
	receiptVerifies(t, p, bundle)

	t.Run("another statement is no receipt", func(t *testing.T) {
		for _, input := range inspect(t, p, p.repo, reference, "dev").Inputs {
			if input.URI != "https://slsa.dev/provenance/v1" {
				continue
			}
			other := filepath.Join(t.TempDir(), "provenance.sigstore.json")
			_, err := p.run(p.repo, append(p.signing([]string{"key", "--public-key", p.file("keys/cosign.pub")}, "bundle", "--reference", reference, "--referrer", "sha256:"+input.Digest["sha256"]),
				"file", "--path", "bundle.sigstore.json", "export", "--path", other)...)
			require.NoError(t, err)
			_, err = p.call(p.repo, nil, "receipt-verify", "--bundle", other, "--public-key", p.file("keys/cosign.pub"), "checked")
			refused(t, err, "receipt: bad input: predicate type", "is not a receipt's")
			return
		}
		t.Fatal("the image has no provenance")
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
	refused(t, err, "test: refused by policy: app hello: its own tests fail", "this is wrong", "go test ./... in the app's folder")
	status, _ := fetch(t, p, "/v2/hello/manifests/"+strings.TrimSpace(digest), indexType)
	assert.Equal(t, http.StatusNotFound, status)
}
