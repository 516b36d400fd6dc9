package pki

import (
	"crypto/tls"
	"crypto/x509"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const seed = "a seed that only tests know of"

func TestCertificatesOfOneSeedVerifyEachOther(t *testing.T) {
	first, err := New([]byte(seed))
	require.NoError(t, err)
	second, err := New([]byte(seed + "\n"))
	require.NoError(t, err)
	pair, err := first.Server("api", "localhost", "10.96.0.1")
	require.NoError(t, err)
	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(second.Certificate()))
	cert, err := tls.X509KeyPair(pair.Certificate, pair.Key)
	require.NoError(t, err)
	for _, host := range []string{"localhost", "10.96.0.1"} {
		_, err := cert.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: host})
		assert.NoError(t, err, host)
	}
	_, err = cert.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: "example.org"})
	assert.Error(t, err)
}

func TestAnotherSeedIsAnotherCluster(t *testing.T) {
	one, err := New([]byte(seed))
	require.NoError(t, err)
	other, err := New([]byte("another seed, of another cluster"))
	require.NoError(t, err)
	client, err := other.Client("admin", "system:masters")
	require.NoError(t, err)
	cert, err := tls.X509KeyPair(client.Certificate, client.Key)
	require.NoError(t, err)
	assert.Equal(t, "admin", cert.Leaf.Subject.CommonName)
	assert.Equal(t, []string{"system:masters"}, cert.Leaf.Subject.Organization)
	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(one.Certificate()))
	_, err = cert.Leaf.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	assert.Error(t, err)
	a, err := one.Password("argocd")
	require.NoError(t, err)
	b, err := other.Password("argocd")
	require.NoError(t, err)
	assert.Len(t, a, 32)
	assert.NotEqual(t, a, b)
}

func TestAShortSeedIsRefused(t *testing.T) {
	_, err := New([]byte("  short  "))
	assert.ErrorContains(t, err, "shorter than 26")
}
