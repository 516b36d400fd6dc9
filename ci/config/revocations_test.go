package config_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"slipway/ci/config"
	"slipway/ci/rules"
	"slipway/step"
	"slipway/step/steptest"
)

var revokedDigest = "sha256:" + strings.Repeat("ab", 32)

const goodRevocations = `# Ask security before you take one out.
revocations:
  # the incident of November
  - app: hello
    digest: sha256:abababababababababababababababababababababababababababababababab
    reason: 'writes tokens into its log: #42'
    by: jane@acme.example
    at: 2026-11-29T12:00:00Z
    environments: [production]
`

func entry() rules.Revocation {
	return rules.Revocation{App: "hello", Digest: revokedDigest, Reason: "leaks: yes", By: "Jane", At: time.Date(2026, 11, 30, 8, 0, 0, 0, time.UTC)}
}

func TestRevocationsAreReadStrictly(t *testing.T) {
	environments := []string{"dev", "production"}
	all, err := config.Revocations([]byte(goodRevocations), environments)
	require.NoError(t, err)
	assert.Equal(t, []rules.Revocation{{
		App: "hello", Digest: revokedDigest, Reason: "writes tokens into its log: #42", By: "jane@acme.example",
		At: time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC), Environments: []string{"production"},
	}}, all)
	for _, none := range []string{"revocations: []\n", "revocations:\n", "{}\n"} {
		all, err := config.Revocations([]byte(none), environments)
		require.NoError(t, err, none)
		assert.Empty(t, all, none)
	}
	for name, tc := range map[string]struct{ old, new, input, reason string }{
		"an unknown key":          {"    by:", "    who:", config.RevocationsFile, "field who not found"},
		"a key in another case":   {"    digest:", "    Digest:", config.RevocationsFile, "field Digest not found"},
		"another list":            {"revocations:\n", "revoked:\n", config.RevocationsFile, "field revoked not found"},
		"no app":                  {"app: hello", "app: \"\"", config.RevocationsFile + `: revocations[0].app ""`, "is not a valid name"},
		"a short digest":          {"sha256:abab", "sha256:ab", config.RevocationsFile + ": revocations[0].digest \"sha256:" + strings.Repeat("ab", 31) + "\"", "is not a sha256 digest"},
		"no reason":               {"'writes tokens into its log: #42'", "''", config.RevocationsFile + `: revocations[0].reason ""`, "is not a reason"},
		"a reason of two lines":   {"'writes tokens into its log: #42'", `"a\nb"`, config.RevocationsFile + `: revocations[0].reason "a\nb"`, "is not a reason"},
		"nobody":                  {"by: jane@acme.example", "by: ' '", config.RevocationsFile + `: revocations[0].by " "`, "is not who takes it back"},
		"no time":                 {"    at: 2026-11-29T12:00:00Z\n", "", config.RevocationsFile + ": revocations[0].at", "is missing"},
		"a time that is none":     {"2026-11-29T12:00:00Z", "yesterday", config.RevocationsFile, "cannot parse"},
		"an unknown environment":  {"[production]", "[prod]", config.RevocationsFile + `: revocations[0].environments "prod"`, "is not an environment"},
		"a second document":       {"# Ask security", "{}\n---\n# Ask security", config.RevocationsFile, "holds more than one YAML document"},
		"nothing but a comment":   {goodRevocations, "# none\n", config.RevocationsFile, "the file is empty"},
		"a list without its name": {goodRevocations, "[]\n", config.RevocationsFile, "line"},
	} {
		text := strings.Replace(goodRevocations, tc.old, tc.new, 1)
		require.NotEqual(t, goodRevocations, text, name)
		_, err := config.Revocations([]byte(text), environments)
		f := steptest.Refused(t, err)
		assert.Equal(t, step.KindInput, f.Kind, name)
		assert.Equal(t, tc.input, f.Input, name)
		assert.Contains(t, f.Reason, tc.reason, name)
	}
}

func TestRevokeAddsAnEntryAndKeepsTheRest(t *testing.T) {
	environments := []string{"dev", "production"}
	out, err := config.Revoke([]byte(goodRevocations), environments, entry())
	require.NoError(t, err)
	assert.Equal(t, goodRevocations+`  - app: hello
    digest: `+revokedDigest+`
    reason: 'leaks: yes'
    by: Jane
    at: 2026-11-30T08:00:00Z
`, string(out), "it is revoked in dev, too, so it is more than there was")
	again, err := config.Revoke(out, environments, entry())
	require.NoError(t, err)
	assert.Equal(t, string(out), string(again))

	out, err = config.Revoke(nil, environments, entry(), entry())
	require.NoError(t, err)
	assert.Equal(t, `# Images that are neither released nor let into a cluster any more.
revocations:
  - app: hello
    digest: `+revokedDigest+`
    reason: 'leaks: yes'
    by: Jane
    at: 2026-11-30T08:00:00Z
`, string(out))
	for _, none := range []string{"revocations: []\n", "revocations:\n", "{}\n"} {
		out, err := config.Revoke([]byte(none), environments, entry())
		require.NoError(t, err, none)
		all, err := config.Revocations(out, environments)
		require.NoError(t, err, none)
		assert.Equal(t, []rules.Revocation{entry()}, all, none)
	}
	one := entry()
	one.Environments = []string{"production"}
	out, err = config.Revoke([]byte(goodRevocations), environments, one)
	require.NoError(t, err)
	assert.Equal(t, goodRevocations, string(out), "it is revoked there")

	for name, change := range map[string]func(*rules.Revocation){
		"no reason":              func(r *rules.Revocation) { r.Reason = "" },
		"an unknown environment": func(r *rules.Revocation) { r.Environments = []string{"prod"} },
		"a digest of another":    func(r *rules.Revocation) { r.Digest = "sha512:00" },
	} {
		bad := entry()
		change(&bad)
		_, err := config.Revoke([]byte(goodRevocations), environments, bad)
		assert.Equal(t, step.KindInput, steptest.Refused(t, err).Kind, name)
	}
	_, err = config.Revoke([]byte("revocations: [{}]\n"), environments, entry())
	assert.Equal(t, config.RevocationsFile+`: revocations[0].app ""`, steptest.Refused(t, err).Input, "what is there is checked, too")
}
