package rules_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/ci/rules"
)

func TestDegradedSignaturesAreRefusedUnlessATimeIsGiven(t *testing.T) {
	for text, accepts := range map[string]time.Duration{
		"": 0, "refuse": 0, "1m": time.Minute, "24h": 24 * time.Hour, "720h": 720 * time.Hour, "59s": 0, "721h": 0, "-1h": 0, "0": 0, "accept": 0,
	} {
		assert.Equal(t, accepts, rules.Degraded(text).Accepts(), text)
	}
}

func TestWhoMaySignForAnEnvironment(t *testing.T) {
	anywhere := rules.Identity{Issuer: "https://i.example", Subject: "a@example.org"}
	production := rules.Identity{Issuer: "https://i.example", SubjectPattern: "b.*", Environments: []string{"dev", "production"}}
	dev := rules.Identity{Issuer: "https://i.example", Subject: "c@example.org", Environments: []string{"dev"}}
	const a, b, c = `{"issuer":"https://i.example","subject":"a@example.org"}`, `{"issuer":"https://i.example","subjectPattern":"b.*"}`, `{"issuer":"https://i.example","subject":"c@example.org"}`
	for name, tc := range map[string]struct {
		all  rules.Identities
		env  string
		want string
	}{
		"nobody":                     {nil, "dev", ""},
		"everywhere":                 {rules.Identities{anywhere}, "dev", "[" + a + "]"},
		"of several":                 {rules.Identities{production, anywhere, dev}, "production", "[" + b + "," + a + "]"},
		"all":                        {rules.Identities{anywhere, production, dev}, "dev", "[" + a + "," + b + "," + c + "]"},
		"none for it":                {rules.Identities{dev}, "production", ""},
		"without an environment":     {rules.Identities{dev, anywhere, production}, "", "[" + a + "]"},
		"none for every environment": {rules.Identities{dev, production}, "", ""},
		"an environment of no name":  {rules.Identities{{Issuer: "x", Environments: []string{""}}}, "", ""},
	} {
		got, err := tc.all.Allowed(tc.env)
		require.NoError(t, err, name)
		assert.Equal(t, tc.want, got, name)
	}
	assert.Equal(t, []string{"dev", "production"}, production.Environments)
}
