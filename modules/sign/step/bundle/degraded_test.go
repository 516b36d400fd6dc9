package bundle_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/drill/sigstore/standintest"
	"slipway/sign/step/bundle"
	results "slipway/step/result/sign"
)

func degraded(t *testing.T, expires time.Time) *bundle.Statement {
	t.Helper()
	statement, err := bundle.NewStatement(digest, "https://example.org/verdict/v1", nil, map[string]string{"app": "hello"})
	require.NoError(t, err)
	marked, err := statement.Degrade(digest, results.Degraded{Missing: []string{"https://log.example.org", "https://tsa.example.org"}, Expires: expires})
	require.NoError(t, err)
	assert.Equal(t, map[string]string{"app": "hello"}, statement.Claims(digest), "the statement itself stays")
	return marked
}

func encoded(t *testing.T, statement *bundle.Statement) []byte {
	t.Helper()
	data, err := json.Marshal(statement)
	require.NoError(t, err)
	return data
}

func TestTheMarkIsRead(t *testing.T) {
	expires := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	mark, err := degraded(t, expires).Degraded(digest)
	require.NoError(t, err)
	assert.Equal(t, &results.Degraded{Missing: []string{"https://log.example.org", "https://tsa.example.org"}, Expires: expires}, mark)
	plain, err := bundle.NewStatement(digest, "https://example.org/verdict/v1", nil, map[string]string{"app": "hello"})
	require.NoError(t, err)
	mark, err = plain.Degraded(digest)
	require.NoError(t, err)
	assert.Nil(t, mark)
	_, err = plain.Degrade("sha256:00", results.Degraded{Expires: expires})
	assert.ErrorContains(t, err, "is not about")

	for name, claims := range map[string]map[string]string{
		"no expiry":      {"slipway.degraded": "https://log.example.org"},
		"no mark":        {"slipway.expires": expires.Format(time.RFC3339)},
		"another format": {"slipway.degraded": "", "slipway.expires": "tomorrow"},
	} {
		half, err := bundle.NewStatement(digest, "https://example.org/verdict/v1", nil, claims)
		require.NoError(t, err)
		_, err = half.Degraded(digest)
		assert.ErrorIs(t, err, bundle.ErrUntrusted, name)
	}
	for name, reserved := range map[string]bool{"slipway.degraded": true, "slipway.expires": true, "app": false} {
		assert.Equal(t, reserved, bundle.ReservedAnnotation(name), name)
	}
}

// Whoever signed it said until when it counts, also by a key.
func TestAnExpiredMarkCountsForNobody(t *testing.T) {
	signer := newSigner(t)
	for expires, valid := range map[time.Duration]bool{time.Hour: true, -time.Second: false} {
		data, err := bundle.Sign(context.Background(), signer, degraded(t, time.Now().Add(expires)))
		require.NoError(t, err)
		_, err = bundle.TrustKey(signer.Public()).Verify(data, digest)
		if valid {
			assert.NoError(t, err)
			continue
		}
		assert.ErrorIs(t, err, bundle.ErrUntrusted)
		assert.ErrorContains(t, err, "without https://log.example.org, https://tsa.example.org) counted until")
	}
}

func TestADegradedSignatureIsAcceptedByName(t *testing.T) {
	s := standintest.New(t)
	later := degraded(t, time.Now().Add(time.Hour))
	plain := statementAbout(t, digest)
	for name, c := range map[string]struct {
		data    []byte
		accept  time.Duration
		refusal string
	}{
		"without a log":               {s.Attest(t, who, issuer, encoded(t, later), standintest.WithoutLog), time.Hour, ""},
		"not by default":              {s.Attest(t, who, issuer, encoded(t, later), standintest.WithoutLog), 0, "not enough verified log entries"},
		"longer ago than is accepted": {s.Attest(t, who, issuer, encoded(t, later), standintest.WithoutLog), time.Nanosecond, "is accepted until"},
		"expired":                     {s.Attest(t, who, issuer, encoded(t, degraded(t, time.Now().Add(-time.Second))), standintest.WithoutLog), time.Hour, "counted until"},
		"expired, with all evidence":  {s.Attest(t, who, issuer, encoded(t, degraded(t, time.Now().Add(-time.Second)))), 0, "counted until"},
		"not marked":                  {s.Attest(t, who, issuer, plain, standintest.WithoutLog), time.Hour, "is not marked degraded"},
		"marked, with all evidence":   {s.Attest(t, who, issuer, encoded(t, later)), time.Hour, ""},
		"marked, and not by default":  {s.Attest(t, who, issuer, encoded(t, later)), 0, "none that is degraded is accepted"},
		"says why it does not count":  {s.Attest(t, who, issuer, encoded(t, later), standintest.WithoutLog), 0, "degraded (without https://log.example.org, https://tsa.example.org)"},
		"names a stranger":            {s.Attest(t, "other@example.org", issuer, encoded(t, later), standintest.WithoutLog), 0, `signed by identity "other@example.org"`},
		"without any time":            {s.AttestV2(t, who, issuer, encoded(t, later), standintest.WithoutTimestamp), time.Hour, "threshold not met"},
		"by somebody else":            {s.Attest(t, "other@example.org", issuer, encoded(t, later), standintest.WithoutLog), time.Hour, "not enough verified log entries"},
		"of another image":            {s.Attest(t, who, issuer, statementAbout(t, "sha256:"+"cd"+digest[9:]), standintest.WithoutLog), time.Hour, "not enough verified log entries"},
	} {
		t.Run(name, func(t *testing.T) {
			trust := identity(t, s.Root(t), bundle.Identity{Subject: who, Issuer: issuer}, bundle.Evidence{CertificateLogs: bundle.None, Degraded: c.accept})
			verified, err := trust.Verify(c.data, digest)
			if c.refusal == "" {
				require.NoError(t, err)
				require.NotNil(t, verified.Signer.Degraded)
				assert.Equal(t, []string{"https://log.example.org", "https://tsa.example.org"}, verified.Signer.Degraded.Missing)
				return
			}
			assert.ErrorIs(t, err, bundle.ErrUntrusted)
			assert.ErrorContains(t, err, c.refusal)
			assert.Nil(t, verified)
		})
	}
	root, err := bundle.ParseRoot(s.Root(t))
	require.NoError(t, err)
	_, err = bundle.TrustIdentities([]bundle.Identity{{Subject: who, Issuer: issuer}}, root, bundle.Evidence{CertificateLogs: bundle.None, Degraded: -1})
	assert.ErrorIs(t, err, bundle.ErrTrust)
}
