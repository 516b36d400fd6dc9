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

// believed is the shipped configuration with more lines for the database.
func believed(t *testing.T, lines string) string {
	t.Helper()
	const age = "    maxAge: 48h\n"
	require.Contains(t, shipped(t), age)
	return strings.Replace(shipped(t), age, age+lines, 1)
}

const byDatabaseIdentity = `    signing:
      identities:
        - {issuer: https://issuer.example.org, subject: mirror@example.org}
      trustedRoot: infra/database_root.json
`

func TestADatabaseSaysWhyItIsBelieved(t *testing.T) {
	digest := "sha256:" + strings.Repeat("1", 64)
	for lines, want := range map[string]config.Database{
		"": {},
		"    signing: {publicKey: gitops/database.pub}\n": {Signing: config.Signing{PublicKey: "gitops/database.pub"}},
		byDatabaseIdentity: {Signing: config.Signing{
			Identities: rules.Identities{{Issuer: "https://issuer.example.org", Subject: "mirror@example.org"}}, TrustedRoot: "infra/database_root.json",
		}},
		"    digest: " + digest + "\n": {Digest: digest},
		"    trust: unsigned\n":        {Trust: rules.Unsigned},
	} {
		c, err := config.Parse([]byte(believed(t, lines)))
		require.NoError(t, err, lines)
		want.Repository, want.Tag, want.MaxAge = "localhost:5000/slipway/trivy-db", "2", c.Scan.Database.MaxAge
		// As many logs as for releases, unless it says otherwise.
		want.Signing.Logs, want.Signing.CertificateLogs = 1, 1
		assert.Equal(t, want, c.Scan.Database)
		assert.Zero(t, c.Scan.Policy.Database, "what is written as the policy names no database")
	}
}

func TestDatabaseFaultsNameThePlace(t *testing.T) {
	digest := "sha256:" + strings.Repeat("1", 64)
	for lines, want := range map[string][2]string{
		"    trust: signed\n":                               {`trust "signed"`, "is not a way to trust a database"},
		"    trust: Unsigned\n":                             {`trust "Unsigned"`, "is not a way to trust a database"},
		"    digest: latest\n":                              {`digest "latest"`, "is not a digest"},
		"    digest: sha256:12\n":                           {`digest "sha256:12"`, "is not a digest"},
		"    digest: " + digest + "\n    trust: unsigned\n": {`trust "unsigned"`, "is given beside digest"},
		"    digest: " + digest + "\n    signing: {publicKey: gitops/x.pub}\n":                                  {"signing", "is given beside digest or trust"},
		byDatabaseIdentity + "    trust: unsigned\n":                                                            {"signing", "is given beside digest or trust"},
		"    signing: {publicKey: ../x.pub}\n":                                                                  {`signing.publicKey "../x.pub"`, "is not a path inside the repository"},
		"    signing: {publicKey: x.pub}\n":                                                                     {`signing.publicKey "x.pub"`, "is not a path below apps, gitops or infra"},
		"    signing: {trustedRoot: infra/x.json}\n":                                                            {"signing.trustedRoot", "is given without identities"},
		"    signing: {logs: -1}\n":                                                                             {"signing.logs", "is negative"},
		strings.Replace(byDatabaseIdentity, "https:", "http:", 1):                                               {`signing.identities[0].issuer "http://issuer.example.org"`, "is not an https URL"},
		strings.Replace(byDatabaseIdentity, "mirror@example.org", "mirror@example.org, environments: [dev]", 1): {"signing.identities[0].environments", "means nothing for a database"},
	} {
		_, err := config.Parse([]byte(believed(t, lines)))
		f := steptest.Refused(t, err)
		assert.Equal(t, step.KindInput, f.Kind, lines)
		assert.Equal(t, "slipway.yaml: scan.database."+want[0], f.Input, lines)
		assert.Contains(t, f.Reason, want[1], lines)
	}
	_, err := config.Parse([]byte(believed(t, "    signed: true\n")))
	require.ErrorContains(t, err, "signed")
}
