package cluster

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/infra/step/backend"
	"slipway/step"
)

const good = `apiVersion: v1
kind: Config
current-context: here
clusters:
- name: there
  cluster: {server: "https://there.test", certificate-authority-data: dGhlcmU=}
- name: one
  cluster:
    server: https://localhost:6443
    certificate-authority-data: Q0E=
users:
- name: me
  user:
    client-certificate-data: Q0VSVA==
    client-key-data: aHVzaA==
- name: cloud
  user: {exec: {command: cloud}}
contexts:
- name: here
  context: {cluster: one, user: me}
- name: away
  context: {cluster: there, user: cloud}
`

func write(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "kubeconfig")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	return file
}

func TestKubeconfigIsTheCurrentContextAlone(t *testing.T) {
	data, err := Kubeconfig("plan", write(t, good), backend.Connections{"localhost:6443": "kubernetes:16443"})
	require.NoError(t, err)
	assert.JSONEq(t, `{"apiVersion":"v1","kind":"Config","current-context":"slipway",
		"clusters":[{"name":"slipway","cluster":{"server":"https://kubernetes:16443","tls-server-name":"localhost","certificate-authority-data":"Q0E="}}],
		"users":[{"name":"slipway","user":{"client-certificate-data":"Q0VSVA==","client-key-data":"aHVzaA=="}}],
		"contexts":[{"name":"slipway","context":{"cluster":"slipway","user":"slipway"}}]}`, string(data))

	data, err = Kubeconfig("plan", write(t, strings.Replace(good, "https://localhost:6443", "https://k.test/a", 1)), backend.Connections{"localhost:6443": "kubernetes:1"})
	require.NoError(t, err)
	assert.Contains(t, string(data), `"server":"https://k.test/a"`)
	assert.NotContains(t, string(data), "tls-server-name")
	data, err = Kubeconfig("plan", write(t, strings.Replace(good, "https://localhost:6443", "https://k.test\n    tls-server-name: api.test", 1)), backend.Connections{"k.test:443": "kubernetes:1"})
	require.NoError(t, err)
	assert.Contains(t, string(data), `"tls-server-name":"api.test"`)
}

func TestKubeconfigRefusals(t *testing.T) {
	for name, c := range map[string]struct{ old, new, reason string }{
		"no YAML":       {"kind: Config", "kind: [hush", "is not a kubeconfig"},
		"no context":    {"current-context: here", "current-context: gone", "has no current context"},
		"a program":     {"current-context: here", "current-context: away", "takes its credentials from a program or another file"},
		"a key file":    {"client-key-data: aHVzaA==", "client-key: /hush", "takes its credentials from a program or another file"},
		"a token file":  {"client-key-data: aHVzaA==", "tokenFile: /hush", "takes its credentials from a program or another file"},
		"no user":       {"- name: me", "- name: other", "holds no credentials"},
		"no cluster":    {"- name: one", "- name: two", "lacks the cluster of its current context"},
		"trusts anyone": {"certificate-authority-data: Q0E=", "insecure-skip-tls-verify: true", "turns the verification of the server's certificate off"},
		"a CA file":     {"certificate-authority-data: Q0E=", "certificate-authority: /ca", "refers to another file"},
		"a proxy":       {"certificate-authority-data: Q0E=", "proxy-url: http://hush", "names a proxy"},
		"plain HTTP":    {"https://localhost:6443", "http://localhost:6443", "has no https server"},
		"credentials":   {"https://localhost:6443", "https://u:hush@localhost:6443", "has no https server"},
	} {
		t.Run(name, func(t *testing.T) {
			require.Contains(t, good, c.old)
			_, err := Kubeconfig("plan", write(t, strings.Replace(good, c.old, c.new, 1)), nil)
			f, ok := step.AsFault(err)
			require.True(t, ok, "%v", err)
			assert.Equal(t, step.KindInput, f.Kind)
			assert.Equal(t, c.reason, f.Reason)
			assert.NotEmpty(t, f.Mend)
			assert.NotContains(t, f.Error(), "hush")
			assert.NotContains(t, f.Error(), "aHVzaA")
		})
	}
	_, err := Kubeconfig("plan", "none", nil)
	f, ok := step.AsFault(err)
	require.True(t, ok)
	assert.Equal(t, "can't be read", f.Reason)
}
