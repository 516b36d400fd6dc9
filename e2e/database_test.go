//go:build e2e

package e2e

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Somebody who can push moves the database's tag to one that knows nothing of legacy's
// vulnerability. Only who has signed it, or which one it is, can tell.
func TestEvidenceWhoMovesTheDatabasesTagDecidesNothing(t *testing.T) {
	t.Parallel()
	p := shared
	const repository = "localhost:5000/slipway/attacked-db"
	at := []string{"with-database", "--repository", repository}
	call := func(dir string, options []string, args ...string) (string, error) {
		out, err := p.call(dir, options, slices.Concat(at, args)...)
		return strings.TrimSpace(out), err
	}
	scan := func(dir, app string) error {
		_, err := call(dir, p.options(), "app", "--name", app, "build", "scan", "digest")
		return err
	}
	settings := read(t, p.repo+"/slipway.yaml")
	const age = "    maxAge: 48h\n"
	require.Contains(t, settings, age)
	_, err := p.run(p.repo, "-m", "modules/sign", "call", "keygen", "--password", "file:"+p.file("password"), "export", "--path", p.file("database-stranger"))
	require.NoError(t, err)
	with := func(line string) string {
		return source(t, map[string]string{
			"gitops/database.pub":          read(t, p.file("database-stranger/cosign.pub")),
			"slipway.yaml":                 strings.Replace(settings, age, age+"    "+line+"\n", 1),
			"apps/hello/greeting/extra.go": "package greeting\n\n// Extra makes another image.\nconst Extra = \"" + random() + "\"\n",
		})
	}

	signed, err := call(p.repo, p.options(), "publish-database")
	require.NoError(t, err)
	require.NoError(t, scan(p.repo, "hello"), "the control: it is signed")
	refused(t, scan(p.repo, "legacy"), "CVE-2022-32149")

	ignorant := source(t, map[string]string{"modules/scan/db/advisories/GHSA-69ch-w2m2-3vjp.json": strings.Replace(advisory, "golang.org/x/text", "golang.org/x/none", 1)})
	_, port, ok := strings.Cut(p.sandbox, ":")
	require.True(t, ok)
	push := func(dir, module string, args ...string) string {
		out, err := p.run(dir, slices.Concat([]string{"-m", "modules/" + module, "call", "with-account"}, p.as("database"), args,
			[]string{"--service", "tcp://" + p.sandbox, "--connect", "localhost:5000=registry:" + port})...)
		require.NoError(t, err)
		return regexp.MustCompile("sha256:[0-9a-f]{64}").FindString(out)
	}
	now := time.Now().UTC()
	newer := push(ignorant, "scan", "publish-database", "--repository", repository, "--tag", "2", "--updated-at", now.Format(time.RFC3339), "--next-update", now.Add(time.Hour).Format(time.RFC3339))
	ways := []string{"name who signs it as scan.database.signing in slipway.yaml", "pin one as scan.database.digest", "scan.database.trust: unsigned"}
	for _, app := range []string{"hello", "legacy"} {
		refused(t, scan(p.repo, app), append(ways, "scan: refused by policy: vulnerability database "+repository+"@"+newer, "has no signature")...)
	}

	// As it was before there were signatures: whoever moves the tag decides.
	unsigned := with("trust: unsigned")
	require.NoError(t, scan(unsigned, "legacy"), "the attack would have worked")
	reference, err := call(unsigned, p.options(), "app", "--name", "hello", "build", "scan", "publish", "sign", "reference")
	require.NoError(t, err)
	text, err := call(unsigned, p.options(), "inspect", "--reference", reference, "--env", "dev", "text")
	require.NoError(t, err)
	assert.Contains(t, text, "0 excepted, by a database that nobody vouches for")
	_, err = call(unsigned, p.options(), "verify", "--reference", reference, "--env", "dev", "passed")
	require.NoError(t, err)
	_, err = call(unsigned, p.options(), "verify", "--reference", reference, "--env", "production", "passed")
	refused(t, err, "its scan was made with a database that nobody vouches for")
	_, err = call(p.repo, p.options(), "verify", "--reference", reference, "--env", "dev", "passed")
	refused(t, err, "scan verdict of "+reference+" was made under another policy, or with another vulnerability database than it wants")

	// Signed by somebody else is not signed, unless that is who must sign.
	push(p.repo, "sign", "key-file", "--key", "file:"+p.file("database-stranger/cosign.key"), "--password", "file:"+p.file("password"), "sign", "--reference", repository+"@"+newer)
	refused(t, scan(p.repo, "hello"), append(ways, "scan: refused by policy: vulnerability database "+repository+"@"+newer, "has no valid signature by key")...)
	require.NoError(t, scan(with("signing: {publicKey: gitops/database.pub}"), "hello"))

	// The tag says nothing about the one that is pinned.
	_, digest, ok := strings.Cut(signed, "@")
	require.True(t, ok, signed)
	pinned := with("digest: " + digest)
	require.NoError(t, scan(pinned, "hello"))
	refused(t, scan(pinned, "legacy"), "CVE-2022-32149")

	// Nobody says who must have signed.
	_, err = call(source(t, nil), p.place()[:4], "app", "--name", "hello", "build", "scan", "digest")
	refused(t, err, append(ways, "scan: bad input: slipway.yaml: scan.database: does not say who must have signed it", "give --database-key")...)
}
