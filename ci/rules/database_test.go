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
