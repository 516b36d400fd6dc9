package rules_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"slipway/ci/rules"
	"slipway/step"
	"slipway/step/steptest"
)

func publicKey(t *testing.T) (text []byte, der []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	der, err = x509.MarshalPKIXPublicKey(key.Public())
	require.NoError(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), der
}

func TestAKeyIsTrustedByWhatItIsAndNotByHowItIsWritten(t *testing.T) {
	text, der := publicKey(t)
	trust, err := rules.SignedByKey(text)
	require.NoError(t, err)
	sum := sha256.Sum256(der)
	assert.Equal(t, "signed by key sha256:"+hex.EncodeToString(sum[:]), trust)
	windows, err := rules.SignedByKey([]byte(strings.ReplaceAll(string(text), "\n", "\r\n")))
	require.NoError(t, err)
	assert.Equal(t, trust, windows)

	other, _ := publicKey(t)
	another, err := rules.SignedByKey(other)
	require.NoError(t, err)
	assert.NotEqual(t, trust, another)
	for reason, text := range map[string]string{
		"is not one PEM block": string(text) + string(other), "can't be read": "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
	} {
		_, err := rules.SignedByKey([]byte(text))
		f := steptest.Refused(t, err)
		assert.Equal(t, step.KindInput, f.Kind)
		assert.Equal(t, "public key of the vulnerability database", f.Input)
		assert.Equal(t, reason, f.Reason)
	}
	_, err = rules.SignedByKey(nil)
	require.ErrorContains(t, err, "is not one PEM block")
}

func TestIdentitiesAreTrustedWithTheirSigstore(t *testing.T) {
	const somebody = `[{"issuer":"https://issuer.example.org","subject":"a@example.org"}]`
	all := map[string]bool{
		rules.SignedByIdentities(somebody, []byte("root"), 1, 1):                                 true,
		rules.SignedByIdentities(strings.Replace(somebody, "a@", "b@", 1), []byte("root"), 1, 1): true,
		rules.SignedByIdentities(somebody, []byte("another"), 1, 1):                              true,
		rules.SignedByIdentities(somebody, []byte("root"), 0, 1):                                 true,
		rules.SignedByIdentities(somebody, []byte("root"), 1, 0):                                 true,
	}
	assert.Len(t, all, 5)
	for trust := range all {
		assert.Regexp(t, `\Asigned by identities sha256:[0-9a-f]{64}\z`, trust)
	}
	assert.Equal(t, rules.SignedByIdentities(somebody, []byte("root"), 1, 1), rules.SignedByIdentities(somebody, []byte("root"), 1, 1))
}

func TestOneThatNobodyVouchesForIsNotVerified(t *testing.T) {
	for trust, verified := range map[string]bool{"": false, rules.Unsigned: false, rules.Pinned("sha256:01"): true, "signed by key sha256:01": true} {
		assert.Equal(t, verified, rules.Database{Trust: trust}.Verified(), trust)
	}
}

func TestADatabaseIsBelievedForOneReason(t *testing.T) {
	for _, trust := range []string{rules.Unsigned, rules.Pinned("sha256:db"), "signed by key sha256:01"} {
		p := strict()
		p.Database.Trust = trust
		v, err := p.Evaluate(clean())
		require.NoError(t, err)
		assert.Equal(t, trust, v.DatabaseTrust, "the verdict says so")
	}
	p := strict()
	p.Database.MaxAge = 0
	_, err := p.Evaluate(clean())
	require.ErrorContains(t, err, "scan.database.maxAge: is not positive")
}

func TestTheAgeOfADatabase(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*rules.Scanned)
		reason string
	}{
		"as old as it may be": {func(in *rules.Scanned) { in.Findings.Database.UpdatedAt = now.Add(-48 * time.Hour) }, ""},
		"older":               {func(in *rules.Scanned) { in.Findings.Database.UpdatedAt = now.Add(-48*time.Hour - 1) }, "is stale: made at 2026-11-22T11:59:59Z, older than 48h0m0s"},
		"a clock that's fast": {func(in *rules.Scanned) { in.Findings.Database.UpdatedAt = now.Add(5 * time.Minute) }, ""},
		"of the future":       {func(in *rules.Scanned) { in.Findings.Database.UpdatedAt = now.Add(5*time.Minute + 1) }, "was made in the future, at 2026-11-24T12:05:00Z"},
		"no digest":           {func(in *rules.Scanned) { in.Findings.Database.Digest = "" }, "does not say when it was made"},
		"no time":             {func(in *rules.Scanned) { in.Findings.Database.UpdatedAt = time.Time{} }, "does not say when it was made"},
	} {
		in := clean()
		tc.change(&in)
		_, err := strict().Evaluate(in)
		if tc.reason == "" {
			require.NoError(t, err, name)
			continue
		}
		f, ok := step.AsFault(err)
		require.True(t, ok, name)
		assert.Equal(t, tc.reason, f.Reason, name)
	}
	p, in := strict(), clean()
	p.Database.Trust, in.Findings.Database.Digest = rules.Pinned(""), ""
	_, err := p.Evaluate(in)
	require.ErrorContains(t, err, "does not say when it was made")
}
