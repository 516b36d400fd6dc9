package config_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"slipway/ci/config"
	"slipway/step"
)

const byIdentity = `  identities:
    - issuer: https://token.actions.githubusercontent.com
      subject: https://github.com/acme/platform/.github/workflows/release.yml@refs/heads/main
    - issuer: https://issuer.example.org
      subjectPattern: .*@example[.]org
      environments: [dev]
  trustedRoot: infra/trusted_root.json
`

// signedBy is the shipped configuration with other lines for signing, and for
// signatures in dev.
func signedBy(t *testing.T, signing, dev string) string {
	t.Helper()
	text := shipped(t)
	for old, new := range map[string]string{"  publicKey: \"\"\n": signing, "    signing: {degraded: refuse}\n": dev} {
		require.Contains(t, text, old)
		text = strings.Replace(text, old, new, 1)
	}
	return text
}

func TestIdentitiesSignForTheirEnvironments(t *testing.T) {
	c, err := config.Parse([]byte(signedBy(t, byIdentity, "    signing: {degraded: 24h}\n")))
	require.NoError(t, err)
	assert.Equal(t, 1, c.Signing.Logs)
	assert.Equal(t, 1, c.Signing.CertificateLogs)
	assert.Equal(t, 24*time.Hour, c.Environments["dev"].Signing.Degraded.Accepts())
	assert.Zero(t, c.Environments["production"].Signing.Degraded.Accepts())

	const robot = `{"issuer":"https://token.actions.githubusercontent.com","subject":"https://github.com/acme/platform/.github/workflows/release.yml@refs/heads/main"}`
	const people = `{"issuer":"https://issuer.example.org","subjectPattern":".*@example[.]org"}`
	for env, want := range map[string]string{"dev": "[" + robot + "," + people + "]", "production": "[" + robot + "]", "": "[" + robot + "]"} {
		allowed, err := c.Signing.Identities.Allowed(env)
		require.NoError(t, err)
		assert.JSONEq(t, want, allowed, env)
	}
	c.Signing.Identities = c.Signing.Identities[1:]
	for _, env := range []string{"production", ""} {
		allowed, err := c.Signing.Identities.Allowed(env)
		require.NoError(t, err)
		assert.Empty(t, allowed, env)
	}
	assert.Equal(t, []string{"dev"}, c.Signing.Identities[0].Environments, "asking changes nothing")

	// The pipeline hands its settings on as JSON.
	data, err := json.Marshal(c)
	require.NoError(t, err)
	again := &config.Config{}
	require.NoError(t, json.Unmarshal(data, again))
	assert.Equal(t, c.Signing, again.Signing)
	assert.Equal(t, c.Environments, again.Environments)
}

func TestSigningFaultsNameThePlace(t *testing.T) {
	const first = "issuer: https://token.actions.githubusercontent.com"
	for name, tc := range map[string]struct{ old, new, input, reason string }{
		"a key, too":           {"  identities:", "  publicKey: gitops/cosign.pub\n  identities:", "signing.publicKey", "is given beside identities"},
		"a root alone":         {byIdentity, "  trustedRoot: infra/trusted_root.json\n", "signing.trustedRoot", "is given without identities"},
		"no root":              {"  trustedRoot: infra/trusted_root.json\n", "", `signing.trustedRoot ""`, "is not a path below"},
		"a root outside":       {"infra/trusted_root.json", "infra/../../trusted_root.json", `signing.trustedRoot "infra/../../trusted_root.json"`, "is not a path below"},
		"a root not taken":     {"infra/trusted_root.json", "trusted_root.json", `signing.trustedRoot "trusted_root.json"`, "is not a path below apps, gitops or infra"},
		"no issuer":            {first, "issuer: \"\"", `signing.identities[0].issuer ""`, "is not an https URL"},
		"issuer over http":     {first, "issuer: http://issuer.example.org", `signing.identities[0].issuer "http://issuer.example.org"`, "is not an https URL"},
		"nobody":               {"      subjectPattern: .*@example[.]org\n", "", "signing.identities[1].subject", "is missing, or given beside subjectPattern"},
		"somebody twice":       {"      subjectPattern: .*@example[.]org\n", "      subject: a\n      subjectPattern: a\n", "signing.identities[1].subject", "is missing, or given beside subjectPattern"},
		"no pattern":           {".*@example[.]org", "(", `signing.identities[1].subjectPattern "("`, "is not a pattern"},
		"a line end":           {".*@example[.]org", `"a\nb"`, `signing.identities[1].subject "a\nb"`, "holds spaces or control characters"},
		"environment":          {"[dev]", "[prod]", `signing.identities[1].environments "prod"`, "is not an environment"},
		"no environment":       {"[dev]", "[]", "signing.identities[1].environments", "is an empty list, and without one it may sign for all"},
		"an unknown key":       {"subjectPattern", "subjectRegexp", "", "subjectRegexp"},
		"fewer logs than none": {"  trustedRoot", "  logs: -1\n  trustedRoot", "signing.logs", "is negative"},
		"fewer authorities":    {"  trustedRoot", "  certificateLogs: -1\n  trustedRoot", "signing.certificateLogs", "is negative"},
		"accept":               {"degraded: 24h", "degraded: accept", `environments.dev.signing.degraded "accept"`, "is neither refuse nor a duration"},
		"for ever":             {"degraded: 24h", "degraded: 721h", `environments.dev.signing.degraded "721h"`, "is neither refuse nor a duration"},
		"no time":              {"degraded: 24h", "degraded: 0s", `environments.dev.signing.degraded "0s"`, "is neither refuse nor a duration"},
	} {
		t.Run(name, func(t *testing.T) {
			text := signedBy(t, byIdentity, "    signing: {degraded: 24h}\n")
			require.Contains(t, text, tc.old)
			_, err := config.Parse([]byte(strings.Replace(text, tc.old, tc.new, 1)))
			f, ok := step.AsFault(err)
			require.True(t, ok, "want a fault, got %v", err)
			assert.Equal(t, step.KindInput, f.Kind)
			assert.Equal(t, strings.TrimSuffix("slipway.yaml: "+tc.input, ": "), f.Input)
			assert.Contains(t, f.Reason, tc.reason)
			assert.NotEmpty(t, f.Mend)
		})
	}
}
