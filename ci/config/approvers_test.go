package config_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"slipway/ci/config"
	"slipway/ci/rules"
	"slipway/step"
	"slipway/step/steptest"
)

const approvers = `verification:
  approvers:
    jo: {publicKey: gitops/platform/jo.pub, emails: [jo@acme.example]}
    lee: {issuer: "https://login.acme.example", subject: lee@acme.example, emails: [lee@acme.example, lee@home.example]}
`

func TestApproversAreOnePersonEach(t *testing.T) {
	with := func(change ...string) string {
		text := strings.Replace(shipped(t), "verification:\n", approvers, 1)
		text = strings.Replace(text, "  publicKey: \"\"\n", "  publicKey: gitops/cosign.pub\n  trustedRoot: infra/trusted_root.json\n", 1)
		text = strings.Replace(text, "  rules:\n", "  rules:\n    - {require: approval, environments: [production], count: 2, maxAge: 72h}\n", 1)
		for n := 0; n < len(change); n += 2 {
			require.Contains(t, text, change[n])
			text = strings.Replace(text, change[n], change[n+1], 1)
		}
		return text
	}
	c, err := config.Parse([]byte(with()))
	require.NoError(t, err)
	assert.Equal(t, map[string]rules.Approver{
		"jo":  {PublicKey: "gitops/platform/jo.pub", Emails: []string{"jo@acme.example"}},
		"lee": {Issuer: "https://login.acme.example", Subject: "lee@acme.example", Emails: []string{"lee@acme.example", "lee@home.example"}},
	}, c.Verification.Approvers("production"))
	assert.Empty(t, c.Verification.Approvers("dev"))
	assert.Contains(t, c.Taken(), "gitops/platform/jo.pub", "what a delivery takes from the platform")

	for name, tc := range map[string]struct {
		change        []string
		input, reason string
	}{
		"an unknown key":         {[]string{"publicKey: gitops/platform/jo.pub", "key: x"}, "slipway.yaml", "field key not found"},
		"a name that is none":    {[]string{"    jo: {", "    J O: {"}, `slipway.yaml: verification.approvers "J O"`, "is not a valid name"},
		"known by nothing":       {[]string{"publicKey: gitops/platform/jo.pub, ", ""}, "slipway.yaml: verification.approvers.jo", "is known by nothing"},
		"known by both":          {[]string{"publicKey: gitops/platform/jo.pub", "publicKey: gitops/jo.pub, subject: jo@acme.example"}, "slipway.yaml: verification.approvers.jo", "or by a key and an identity"},
		"a key of an app's":      {[]string{"gitops/platform/jo.pub", "apps/hello/jo.pub"}, `slipway.yaml: verification.approvers.jo.publicKey "apps/hello/jo.pub"`, "that no app owns"},
		"beside an app":          {[]string{"gitops/platform/jo.pub", "gitops/apps/jo.pub"}, `slipway.yaml: verification.approvers.jo.publicKey "gitops/apps/jo.pub"`, "that no app owns"},
		"a key outside":          {[]string{"gitops/platform/jo.pub", "gitops/../jo.pub"}, `slipway.yaml: verification.approvers.jo.publicKey "gitops/../jo.pub"`, "that no app owns"},
		"the platform's key":     {[]string{"gitops/platform/jo.pub", "gitops/cosign.pub"}, `slipway.yaml: verification.approvers.jo.publicKey "gitops/cosign.pub"`, "is the key that signs releases"},
		"an issuer alone":        {[]string{"subject: lee@acme.example, ", ""}, "slipway.yaml: verification.approvers.lee.subject", "is missing"},
		"an issuer over http":    {[]string{"https://login", "http://login"}, `slipway.yaml: verification.approvers.lee.issuer "http://login.acme.example"`, "is not an https URL"},
		"a pattern":              {[]string{"subject: lee@acme.example", "subjectPattern: .*"}, "slipway.yaml", "field subjectPattern not found"},
		"no Sigstore":            {[]string{"  trustedRoot: infra/trusted_root.json\n", ""}, `slipway.yaml: signing.trustedRoot ""`, "is not a path below"},
		"no address":             {[]string{"emails: [jo@acme.example]", "emails: []"}, "slipway.yaml: verification.approvers.jo.emails", "is empty"},
		"an address that's none": {[]string{"emails: [jo@acme.example]", "emails: [jo]"}, `slipway.yaml: verification.approvers.jo.emails "jo"`, "is not an e-mail address"},
		"one address twice":      {[]string{"emails: [jo@acme.example]", "emails: [LEE@home.example]"}, `slipway.yaml: verification.approvers.lee: "lee@home.example"`, "is jo's, too"},
		"one key twice":          {[]string{"    lee:", "    kim: {publicKey: gitops/platform/jo.pub, emails: [k@acme.example]}\n    lee:"}, `slipway.yaml: verification.approvers.kim: "gitops/platform/jo.pub"`, "is jo's, too"},
		"more than are":          {[]string{"count: 2", "count: 3"}, "slipway.yaml: verification.rules[0].count 3", "can't be met: 2 may approve"},
	} {
		_, err := config.Parse([]byte(with(tc.change...)))
		f := steptest.Refused(t, err)
		assert.Equal(t, step.KindInput, f.Kind, name)
		assert.Equal(t, tc.input, f.Input, name)
		assert.Contains(t, f.Reason, tc.reason, name)
	}
}
