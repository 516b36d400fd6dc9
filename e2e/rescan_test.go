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

// advisory is made up, against a package that hello really has.
const advisory = `{
  "schema_version": "1.4.0", "id": "GHSA-test-test-test", "aliases": ["CVE-2999-0001"],
  "summary": "Made up for a test", "details": "It is not true.",
  "affected": [{"package": {"ecosystem": "Go", "name": "golang.org/x/text"}, "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}, {"fixed": "99.0.0"}]}]}],
  "database_specific": {"severity": "CRITICAL"}
}`

func TestEvidenceARescanFindsWhatHasFallenOutOfPolicy(t *testing.T) {
	p := shared
	options := append(p.options(), p.terraform(t)...)
	// A database of its own: what it says is nothing to the other tests.
	today := []string{"with-database", "--repository", "localhost:5000/slipway/rescan-db"}
	_, err := p.call(p.repo, p.options(), append(today, "publish-database")...)
	require.NoError(t, err)
	// An image of its own: what is refused here stays refused.
	dir := source(t, map[string]string{"apps/hello/greeting/extra.go": "package greeting\n\n// Extra makes another image.\nconst Extra = \"rescan\"\n"})
	_, digest, _ := strings.Cut(deliver(t, p, dir, "hello", "dev", today...).Image, "@")
	reference := "localhost:5000/hello@" + digest

	type row struct {
		App, Digest string
		Passed      bool
		Since       string
		Refused     []struct{ ID, Package, Fixed, FirstSeen string }
	}
	rescan := func() row {
		out, err := p.call(dir, options, append(today, "rescan", "--env", "dev", "json")...)
		require.NoError(t, err)
		var rows []row
		require.NoError(t, json.Unmarshal([]byte(out), &rows), out)
		for _, r := range rows {
			if r.App == "hello" {
				return r
			}
		}
		t.Fatalf("hello is not in %s", out)
		return row{}
	}
	fine := rescan()
	assert.Equal(t, digest, fine.Digest)
	assert.True(t, fine.Passed)
	assert.Empty(t, fine.Refused)
	_, err = p.call(dir, options, append(today, "verify", "--reference", reference, "--env", "dev", "passed")...)
	require.NoError(t, err)
	_, err = p.call(dir, options, "verify", "--reference", reference, "--env", "dev", "passed")
	refused(t, err, "scan verdict of "+reference+" was made under another policy, or with another vulnerability database than it wants")

	withAdvisory := source(t, map[string]string{"modules/scan/db/advisories/GHSA-test-test-test.json": advisory})
	_, err = p.call(withAdvisory, p.options(), append(today, "publish-database")...)
	require.NoError(t, err)
	fallen := rescan()
	assert.False(t, fallen.Passed)
	require.Len(t, fallen.Refused, 1)
	assert.Equal(t, "CVE-2999-0001 golang.org/x/text 99.0.0", fallen.Refused[0].ID+" "+fallen.Refused[0].Package+" "+fallen.Refused[0].Fixed)
	assert.Equal(t, fallen.Since, fallen.Refused[0].FirstSeen)
	assert.Equal(t, fallen.Since, rescan().Since, "a second look is not a second fall")

	_, err = p.call(dir, options, append(today, "rescan", "--env", "dev", "check", "passed")...)
	refused(t, err, "rescan: refused by policy: environment dev: has releases that fell out of policy, are revoked, or are not what runs: hello", "CRITICAL: CVE-2999-0001 in golang.org/x/text", "fixed in 99.0.0")
	text, err := p.call(dir, options, append(today, "rescan", "--env", "dev", "text")...)
	require.NoError(t, err, "to look is no refusal")
	assert.Contains(t, text, "fell out of policy")

	proposed := filepath.Join(t.TempDir(), "revocations.yaml")
	_, err = p.call(dir, options, append(today, "rescan", "--env", "dev", "revocations", "--by", "jane@acme.example", "export", "--path", proposed)...)
	require.NoError(t, err)
	for _, line := range []string{"digest: " + digest, "reason: 'fell out of policy: CVE-2999-0001'", "environments: [dev]"} {
		assert.Contains(t, read(t, proposed), line)
	}

	before := git(t, p.remote(t), "rev-parse", "HEAD")
	for _, args := range [][]string{
		{"verify", "--reference", reference, "--env", "dev", "text"},
		{"signed", "--app", "hello", "--digest", digest, "release", "--env", "dev", "commit"},
	} {
		_, err = p.call(dir, options, append(today, args...)...)
		refused(t, err, "refused by policy: "+reference+": is not fit for dev: scan: rescan of "+reference+" refuses it since the advisories of "+fallen.Since[:10], "CVE-2999-0001")
	}
	assert.Equal(t, before, git(t, p.remote(t), "rev-parse", "HEAD"))
}
