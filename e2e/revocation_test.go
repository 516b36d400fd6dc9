//go:build e2e

package e2e

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestEvidenceARevokedImageIsRefused(t *testing.T) {
	p := shared
	options := append(p.options(), p.terraform(t)...)
	// Images of its own: what is revoked here stays released elsewhere.
	extra := func(name string) (dir, digest string) {
		dir = source(t, map[string]string{"apps/hello/greeting/extra.go": "package greeting\n\n// Extra makes another image.\nconst Extra = \"" + name + "\"\n"})
		_, digest, _ = strings.Cut(deliver(t, p, dir, "hello", "dev").Image, "@")
		return dir, digest
	}
	dir, digest := extra("revoked")
	_, newer := extra("revoked later")
	before := git(t, p.remote(t), "rev-parse", "HEAD")
	reference := "localhost:5000/hello@" + digest
	verify := []string{"signed", "--app", "hello", "--digest", digest, "verify", "--env", "dev", "reference"}
	_, err := p.call(dir, options, verify...)
	require.NoError(t, err, "the control")

	file := filepath.Join(dir, "gitops/platform/policies/revocations.yaml")
	revoke := func(digest string, more ...string) error {
		_, err := p.call(dir, options, append([]string{"revoke", "--app", "hello", "--digest", digest, "--reason", "writes tokens into its log", "--by", "jane@acme.example"}, append(more, "export", "--path", file)...)...)
		return err
	}
	refused(t, revoke("sha256:00"), "config: bad input: gitops/platform/policies/revocations.yaml: revocations[0].digest", "is not a sha256 digest")
	require.NoError(t, revoke(digest, "--envs", "production"))
	_, err = p.call(dir, options, verify...)
	require.NoError(t, err, "it is revoked elsewhere")
	require.NoError(t, revoke(digest))
	assert.Equal(t, 2, strings.Count(read(t, file), digest))

	const says = "is not fit for dev: revocation: it was revoked by jane@acme.example at "
	for stage, args := range map[string][]string{
		"verify":  verify,
		"release": {"signed", "--app", "hello", "--digest", digest, "release", "--env", "dev", "--older", "commit"},
		"publish": {"deliver", "--app", "hello", "--env", "dev", "--older", "json"},
	} {
		_, err := p.call(dir, options, args...)
		refused(t, err, stage+": refused by policy: "+reference+": "+says, "writes tokens into its log", "mend: release another image")
	}
	_, err = p.call(dir, options, "rollback", "--app", "hello", "--env", "dev", "commit")
	refused(t, err, "rollback: refused by policy: hello in dev: has no earlier release that was healthy and still verifies", digest+": "+says)
	assert.Equal(t, before, git(t, p.remote(t), "rev-parse", "HEAD"))

	require.NoError(t, revoke(newer))
	out, err := p.call(dir, options, "status", "--app", "hello", "text")
	require.NoError(t, err)
	assert.Contains(t, out, newer[:19]+" (revoked)")
	assert.Contains(t, out, "dev: "+newer+" was revoked by jane@acme.example at ")
	out, err = p.call(dir, options, "rescan", "--env", "dev", "json")
	require.NoError(t, err)
	var rows []struct {
		App     string
		Revoked struct{ Digest, Reason string }
	}
	require.NoError(t, json.Unmarshal([]byte(out), &rows), out)
	for _, row := range rows {
		assert.Equal(t, row.App == "hello", row.Revoked.Digest == newer, out)
	}
	_, err = p.call(dir, options, "rescan", "--env", "dev", "check", "text")
	refused(t, err, "rescan: refused by policy: environment dev: has releases that fell out of policy, are revoked, or are not what runs: ", "hello: was revoked by jane@acme.example at ")

	write(t, file, "revoked: []\n")
	_, err = p.call(dir, options, verify...)
	refused(t, err, "config: bad input: gitops/platform/policies/revocations.yaml", "field revoked not found")
}
