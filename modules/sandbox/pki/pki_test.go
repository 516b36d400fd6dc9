package pki

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
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

func TestKubeconfig(t *testing.T) {
	authority, err := New([]byte(seed))
	require.NoError(t, err)
	text, err := authority.Kubeconfig(`https://localhost:6443/"a"`, "system:node: x", "system:nodes")
	require.NoError(t, err)
	var read struct {
		APIVersion, Kind string
		Current          string `yaml:"current-context"`
		Clusters         []struct {
			Name    string
			Cluster map[string]string
		}
		Users []struct {
			Name string
			User map[string]string
		}
		Contexts []struct {
			Name    string
			Context map[string]string
		}
	}
	require.NoError(t, yaml.Unmarshal([]byte(text), &read))
	assert.Equal(t, "Config slipway", read.Kind+" "+read.Current)
	require.Len(t, read.Clusters, 1)
	require.Len(t, read.Users, 1)
	require.Len(t, read.Contexts, 1)
	assert.Equal(t, map[string]string{"cluster": read.Clusters[0].Name, "user": read.Users[0].Name}, read.Contexts[0].Context)
	assert.Equal(t, read.Current, read.Contexts[0].Name)
	assert.Equal(t, "system:node: x", read.Users[0].Name)
	cluster, user := read.Clusters[0].Cluster, read.Users[0].User
	assert.Equal(t, `https://localhost:6443/"a"`, cluster["server"])
	decoded := func(text string) []byte {
		data, err := base64.StdEncoding.DecodeString(text)
		require.NoError(t, err)
		return data
	}
	assert.Equal(t, string(authority.Certificate()), string(decoded(cluster["certificate-authority-data"])))
	cert, err := tls.X509KeyPair(decoded(user["client-certificate-data"]), decoded(user["client-key-data"]))
	require.NoError(t, err)
	assert.Equal(t, "system:node: x", cert.Leaf.Subject.CommonName)
	assert.Equal(t, []string{"system:nodes"}, cert.Leaf.Subject.Organization)
}
