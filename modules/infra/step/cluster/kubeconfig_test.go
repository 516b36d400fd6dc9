package cluster

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/step"
	"slipway/step/azure"
	"slipway/step/azure/azuretest"
	"slipway/step/reach"
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
	data, err := Kubeconfig(t.Context(), "plan", write(t, good), reach.Connections{"localhost:6443": "kubernetes:16443"}, azure.Access{})
	require.NoError(t, err)
	assert.JSONEq(t, `{"apiVersion":"v1","kind":"Config","current-context":"slipway",
		"clusters":[{"name":"slipway","cluster":{"server":"https://kubernetes:16443","tls-server-name":"localhost","certificate-authority-data":"Q0E="}}],
		"users":[{"name":"slipway","user":{"client-certificate-data":"Q0VSVA==","client-key-data":"aHVzaA=="}}],
		"contexts":[{"name":"slipway","context":{"cluster":"slipway","user":"slipway"}}]}`, string(data))
	assert.Equal(t, []any{"", "aHVzaA=="}, Credentials(data))

	data, err = Kubeconfig(t.Context(), "plan", write(t, strings.Replace(good, "client-certificate-data: Q0VSVA==\n    client-key-data: aHVzaA==", "token: hush", 1)), nil, azure.Access{})
	require.NoError(t, err)
	assert.Contains(t, string(data), `{"token":"hush"}`)
	assert.Equal(t, []any{"hush", ""}, Credentials(data))

	data, err = Kubeconfig(t.Context(), "plan", write(t, strings.Replace(good, "https://localhost:6443", "https://k.test/a", 1)), reach.Connections{"localhost:6443": "kubernetes:1"}, azure.Access{})
	require.NoError(t, err)
	assert.Contains(t, string(data), `"server":"https://k.test/a"`)
	assert.NotContains(t, string(data), "tls-server-name")
	data, err = Kubeconfig(t.Context(), "plan", write(t, strings.Replace(good, "https://localhost:6443", "https://k.test\n    tls-server-name: api.test", 1)), reach.Connections{"k.test:443": "kubernetes:1"}, azure.Access{})
	require.NoError(t, err)
	assert.Contains(t, string(data), `"tls-server-name":"api.test"`)
	assert.Contains(t, string(data), `"server":"https://kubernetes:1"`)
}

func TestKubeconfigRefusals(t *testing.T) {
	for name, c := range map[string]struct{ old, new, reason string }{
		"no YAML":       {"kind: Config", "kind: [hush", "is not a kubeconfig"},
		"no context":    {"current-context: here", "current-context: gone", "has no current context"},
		"a program":     {"current-context: here", "current-context: away", `takes its credentials from the program "cloud"`},
		"kubelogin":     {"client-key-data: aHVzaA==", `exec: {command: kubelogin, args: [get-token]}`, "takes its credentials from kubelogin, and nobody is named who signs in to Azure"},
		"no exec":       {"client-key-data: aHVzaA==", "exec: hush", "is not a kubeconfig"},
		"a key file":    {"client-key-data: aHVzaA==", "client-key: /hush", "takes its credentials from a program or another file"},
		"a token file":  {"client-key-data: aHVzaA==", "tokenFile: /hush", "takes its credentials from a program or another file"},
		"no user":       {"- name: me", "- name: other", "holds no credentials"},
		"no cluster":    {"- name: one", "- name: two", "lacks the cluster of its current context"},
		"trusts anyone": {"certificate-authority-data: Q0E=", "insecure-skip-tls-verify: true", "turns the verification of the server's certificate off"},
		"a CA file":     {"certificate-authority-data: Q0E=", "certificate-authority: /ca", "refers to another file"},
		"a proxy":       {"certificate-authority-data: Q0E=", "proxy-url: http://hush", "names a proxy"},
		"plain HTTP":    {"https://localhost:6443", "http://localhost:6443", "has no https server"},
		"no URL":        {"https://localhost:6443", "https://%zz", "has no https server"},
		"no host":       {"https://localhost:6443", "https://:6443", "has no https server"},
		"no user named": {"context: {cluster: one, user: me}", "context: {cluster: one}", "has no current context"},
		"no cluster's":  {"context: {cluster: one, user: me}", "context: {user: me}", "has no current context"},
		"no name":       {"- name: me", "- name: \"\"", "holds no credentials"},
		"credentials":   {"https://localhost:6443", "https://u:hush@localhost:6443", "has no https server"},
	} {
		t.Run(name, func(t *testing.T) {
			require.Contains(t, good, c.old)
			_, err := Kubeconfig(t.Context(), "plan", write(t, strings.Replace(good, c.old, c.new, 1)), nil, azure.Access{})
			f, ok := step.AsFault(err)
			require.True(t, ok, "%v", err)
			assert.Equal(t, step.KindInput, f.Kind)
			assert.Equal(t, c.reason, f.Reason)
			assert.NotEmpty(t, f.Mend)
			assert.NotContains(t, f.Error(), "hush")
			assert.NotContains(t, f.Error(), "aHVzaA")
		})
	}
	_, err := Kubeconfig(t.Context(), "plan", "none", nil, azure.Access{})
	f, ok := step.AsFault(err)
	require.True(t, ok)
	assert.Equal(t, "can't be read", f.Reason)
}

// What az aks get-credentials writes for a cluster without local accounts.
const aks = `apiVersion: v1
kind: Config
current-context: aks
clusters:
- name: aks
  cluster: {server: "https://acme.aks.azure.test:443", certificate-authority-data: Q0E=}
users:
- name: clusterUser
  user:
    exec:
      apiVersion: client.authentication.k8s.io/v1beta1
      args:
      - get-token
      - --environment
      - AzurePublicCloud
      - --server-id
      - 6dae42f8-4368-4678-94ff-3960e28e3630
      - --client-id
      - 80faf920-1908-4b52-b5ef-a8e7bedfc67a
      - --tenant-id
      - 00000000-0000-4000-8000-00000000000b
      - --login
      - devicecode
      command: kubelogin
      env: null
      provideClusterInfo: false
contexts:
- name: aks
  context: {cluster: aks, user: clusterUser}
`

func TestWhereKubeloginWouldSignInTheIdentityDoes(t *testing.T) {
	a := azuretest.Start(t)
	identity, file := a.Identity()
	who := azure.Access{Identity: identity.String(), Token: file}
	self, err := os.Executable()
	require.NoError(t, err)
	for name, text := range map[string]string{"AKS": aks, "a path": strings.Replace(aks, "command: kubelogin", `command: C:\bin\kubelogin.exe`, 1), "a token beside it": strings.Replace(aks, "    exec:\n", "    token: hush\n    exec:\n", 1)} {
		t.Run(name, func(t *testing.T) {
			data, err := Kubeconfig(t.Context(), "plan", write(t, text), nil, who)
			require.NoError(t, err)
			var c struct {
				Users []struct {
					User struct {
						Token string
						Exec  struct {
							Command         string
							Args            []string
							InteractiveMode string
						}
					}
				}
			}
			require.NoError(t, json.Unmarshal(data, &c))
			exec := c.Users[0].User.Exec
			assert.Contains(t, string(data), `"apiVersion":"client.authentication.k8s.io/v1beta1"`)
			assert.Contains(t, string(data), `"provideClusterInfo":false`)
			assert.Empty(t, c.Users[0].User.Token, "what stands beside it does not count")
			assert.Equal(t, self, exec.Command, "nothing that a kubeconfig names is run")
			assert.Equal(t, []string{Plugin, "--azure", identity.String(), "--azure-token-file", file}, exec.Args)
			assert.Equal(t, "Never", exec.InteractiveMode)
			for _, token := range append(a.Tokens(), azuretest.RequestToken) {
				assert.NotContains(t, string(data), token, "no token is stored")
			}
		})
	}
	for name, c := range map[string]struct{ old, new, reason string }{
		"another program": {"command: kubelogin", "command: /tmp/kubelogin/sh", `takes its credentials from the program "/tmp/kubelogin/sh"`},
		"another command": {"- get-token", "- convert-kubeconfig", `takes its credentials from the program "kubelogin"`},
		"another service": {"6dae42f8-4368-4678-94ff-3960e28e3630", "https://vault.azure.net", "is for another server application than AKS's: --server-id"},
		"another tenant":  {"00000000-0000-4000-8000-00000000000b", "00000000-0000-4000-8000-0000000000ff", "is for a cluster of another tenant: --tenant-id"},
		"hidden service":  {"- --login\n", "- --server-id=x\n", "is for another server application than AKS's: --server-id"},
		"short tenant":    {"- --login\n      - devicecode", "- -t\n      - x", "is for a cluster of another tenant"},
		"a provider, too": {"    exec:\n", "    auth-provider: {name: azure}\n    exec:\n", "takes its credentials from a program or another file"},
	} {
		t.Run(name, func(t *testing.T) {
			require.Contains(t, aks, c.old)
			_, err := Kubeconfig(t.Context(), "plan", write(t, strings.Replace(aks, c.old, c.new, 1)), nil, who)
			f, ok := step.AsFault(err)
			require.True(t, ok, "%v", err)
			assert.Equal(t, step.KindInput, f.Kind)
			assert.Contains(t, f.Reason, c.reason)
			assert.NotEmpty(t, f.Mend)
		})
	}
	for reason, none := range map[string]azure.Access{"is missing, but its token is given": {Token: file}, "is not a UUID": {Identity: "{}", Token: file}, "nobody is named who signs in": {}} {
		data, err := Kubeconfig(t.Context(), "plan", write(t, aks), nil, none)
		require.ErrorContains(t, err, reason)
		assert.Nil(t, data)
	}
	a.Refuse["login.azure.test"] = 400
	_, err = Kubeconfig(t.Context(), "plan", write(t, aks), nil, who)
	f, ok := step.AsFault(err)
	require.True(t, ok, "%v", err)
	assert.Contains(t, f.Reason, "Entra refuses the identity", "who can't sign in is told before anything begins")
}
