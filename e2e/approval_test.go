//go:build e2e

package e2e

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestEvidenceApprovalsLetAnImagePass(t *testing.T) {
	p := shared
	spoil := map[string]string{"apps/hello/greeting/extra.go": "package greeting\n\n// Extra makes another image.\nconst Extra = \"approved\"\n"}
	people := ""
	for name, email := range map[string]string{"ada": "test@localhost", "jo": "jo@acme.example", "kim": "kim@acme.example"} {
		_, err := p.run(p.repo, "-m", "modules/sign", "call", "keygen", "--password", "file:"+p.file("password"), "export", "--path", p.file("approver-"+name))
		require.NoError(t, err)
		spoil["gitops/platform/approvers/"+name+".pub"] = read(t, p.file("approver-"+name+"/cosign.pub"))
		people += "    " + name + ": {publicKey: gitops/platform/approvers/" + name + ".pub, emails: [" + email + "]}\n"
	}
	const rules = "  rules:\n"
	text := read(t, p.repo+"/slipway.yaml")
	require.Contains(t, text, rules)
	text = strings.Replace(text, rules, "  approvers:\n"+people+rules+"    - {require: approval, environments: [dev, staging], count: 2, maxAge: 1h}\n", 1)
	spoil["slipway.yaml"] = text
	dir := source(t, spoil)
	options := append(p.options(), p.terraform(t)...)
	// An approval that names no plan is for a release with nothing to apply.
	_, err := p.call(p.repo, options, "infra", "--env", "dev", "plan", "check", "apply", "sha-256")
	require.NoError(t, err)
	out, err := p.call(dir, options, "app", "--name", "hello", "build", "digest")
	require.NoError(t, err)
	digest := strings.TrimSpace(out)
	reference := "localhost:5000/hello@" + digest
	before := git(t, p.remote(t), "rev-parse", "HEAD")
	deliver := func(env string) (string, error) {
		return p.call(dir, options, "deliver", "--app", "hello", "--env", env, "document")
	}
	approveIn := func(dir, by, key string, more ...string) (string, error) {
		with := append(p.place(), "--key", "file:"+p.file("approver-"+key+"/cosign.key"), "--key-password", "file:"+p.file("password"), "with-public-key", "--key", p.file("keys/cosign.pub"))
		return p.call(dir, with, slices.Concat([]string{"signed", "--app", "hello", "--digest", digest, "approve", "--env", "dev", "--by", by}, more, []string{"text"})...)
	}

	approve := func(by, key string, more ...string) (string, error) { return approveIn(dir, by, key, more...) }

	_, err = deliver("dev")
	refused(t, err, "release: refused by policy: "+reference+": is not fit for dev: approval: 0 of 2 approvals count",
		"mend: have 2 more of jo, kim approve it: dagger call signed --app hello --digest "+digest+" approve --env dev --by NAME")
	_, err = approve("ada", "ada")
	refused(t, err, "approve: refused by policy: "+reference+": ada's approval for dev doesn't count: they are an author of the commit", "mend: have somebody else approve it")
	_, err = approve("jo", "kim")
	refused(t, err, "approve: bad input: signer: is not jo's")
	_, err = approve("eve", "kim")
	refused(t, err, `approve: bad input: approver "eve": is not asked for dev`, "use one of ada, jo, kim")
	for range 2 {
		out, err = approve("jo", "jo", "--reason", "read and tried")
		require.NoError(t, err)
		assert.Contains(t, out, "1 of 2 approvals count: jo until ")
		_, err = deliver("dev")
		refused(t, err, "approval: 1 of 2 approvals count: jo until ", "have 1 more of kim approve it")
	}
	assert.Equal(t, before, git(t, p.remote(t), "rev-parse", "HEAD"))

	out, err = approve("kim", "kim")
	require.NoError(t, err)
	assert.Contains(t, out, "approved by jo until ")
	out, err = deliver("dev")
	require.NoError(t, err)
	var d struct {
		Decision struct {
			Outcomes []struct{ Rule, Verdict, Reason string }
		}
		Evidence []struct{ PredicateType string }
	}
	require.NoError(t, json.Unmarshal([]byte(out), &d), out)
	require.NotEmpty(t, d.Decision.Outcomes)
	assert.Equal(t, "approval pass", d.Decision.Outcomes[0].Rule+" "+d.Decision.Outcomes[0].Verdict)
	assert.Regexp(t, "^approved by jo until [^ ]+Z, kim until [^ ]+Z$", d.Decision.Outcomes[0].Reason)
	assert.Len(t, slices.DeleteFunc(d.Evidence, func(s struct{ PredicateType string }) bool {
		return s.PredicateType != "https://slipway.dev/attestations/approval/v1"
	}), 3, "jo has given it twice")
	release := []string{"with-public-key", "--key", p.file("keys/cosign.pub"), "signed", "--app", "hello", "--digest", digest, "release", "--env", "dev", "commit"}
	keyless := append(p.place(), p.terraform(t)...)
	_, err = p.call(dir, slices.Concat(keyless, []string{"--key", "file:" + p.file("approver-kim/cosign.key"), "--key-password", "file:" + p.file("password")}), release...)
	refused(t, err, "release: refused by policy: "+reference+": is not fit for dev: approval: 1 of 2 approvals count: jo until ", "kim's doesn't count: they have signed or delivered it")
	_, err = p.call(dir, keyless, release...)
	refused(t, err, "release: refused by policy: "+reference+": is delivered to dev by nobody who is known", "mend: give the delivery's signer")
	out, err = p.call(dir, options, "status", "--app", "hello", "text")
	require.NoError(t, err)
	assert.Regexp(t, `dev: approved by jo at [^ ]+Z: read and tried\n`, out)

	t.Run("a freeze and a soak", func(t *testing.T) {
		waiting := func(rules string) string {
			changed := maps.Clone(spoil)
			changed["slipway.yaml"] = strings.Replace(read(t, p.repo+"/slipway.yaml"), "  rules:\n", "  approvers:\n"+people+"  rules:\n"+rules, 1)
			return source(t, changed)
		}
		release := []string{"signed", "--app", "hello", "--digest", digest, "release", "--env", "dev", "commit"}
		_, err := p.call(waiting("    - {require: soak, environments: [dev], in: staging, for: 1h}\n"), options, release...)
		refused(t, err, "release: refused by policy: "+reference+": is not fit for dev: soak: no signed receipt says that it was healthy in staging")

		frozen := waiting("    - require: no-freeze\n      environments: [dev]\n      by: [kim]\n      maxAge: 1h\n      freezes:\n        - {name: test, from: 2026-01-01T00:00:00Z, until: 2999-01-01T00:00:00Z, reason: a test}\n")
		_, err = p.call(frozen, options, release...)
		refused(t, err, "is not fit for dev: no-freeze: frozen until 2999-01-01T00:00:00Z (test: a test)", "or have one of kim override it: dagger call signed --app hello --digest "+digest)
		override := func(more ...string) (string, error) {
			return approveIn(frozen, "kim", "kim", more...)
		}
		_, err = override("--freeze", "another", "--reason", "x")
		refused(t, err, `approve: bad input: freeze "another": is none of dev's that kim may override`)
		_, err = override("--freeze", "test")
		refused(t, err, "approve: bad input: reason: is not given for overriding freeze test")
		out, err := override("--freeze", "test", "--reason", "it can't wait")
		require.NoError(t, err)
		assert.Contains(t, out, "overridden by kim: it can't wait")
		_, err = p.call(frozen, options, release...)
		require.NoError(t, err)
	})

	t.Run("nothing is applied that nobody has approved", func(t *testing.T) {
		spoil["infra/builtin/approved.tf"] = "resource \"terraform_data\" \"approved\" {\n  input = \"x\"\n}\n"
		other := source(t, spoil)
		plan := func() string {
			out, err := p.call(other, options, "infra", "--env", "staging", "plan", "digest")
			require.NoError(t, err)
			return strings.TrimSpace(out)
		}
		planned := plan()
		_, err := p.call(other, options, "deliver", "--app", "hello", "--env", "staging", "document")
		refused(t, err, "release: refused by policy: "+reference+": is not fit for staging: approval: 0 of 2 approvals count", "approve --env staging --by NAME --plan "+planned)
		assert.Equal(t, planned, plan(), "another plan that would do the same is the same, and nothing was applied")
	})
}
