package cluster

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/argoproj/argo-cd/v2/pkg/apis/application/v1alpha1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"slipway/step"
)

func TestStatus(t *testing.T) {
	a := serve(t, application(synced(3, commit), live(4, commit), condition("OrphanedResourceWarning", "one\ntwo "+token), func(app *v1alpha1.Application) {
		app.Status.Health.Message = "fine"
		app.Status.History = v1alpha1.RevisionHistories{
			{ID: 0, Revision: before, DeployedAt: *moment(-5)}, {ID: 1, Revision: commit, DeployedAt: *moment(3)},
		}
	}))
	all, err := a.open().Show(t.Context(), newClock(), "argocd", []string{"gone-dev", "hello-dev"})
	require.NoError(t, err)
	data, err := json.Marshal(all)
	require.NoError(t, err)
	assert.JSONEq(t, `{"applications":[
		{"name":"gone-dev","found":false,"revision":"","sync":"","health":"","healthMessage":"","images":[],
		 "reconciledAt":"","syncedAt":"","operation":"","conditions":[],"history":[]},
		{"name":"hello-dev","found":true,"revision":"`+commit+`","sync":"Synced","health":"Healthy","healthMessage":"fine",
		 "images":["`+image+`"],"reconciledAt":"`+stampOf(4)+`","syncedAt":"`+stampOf(3)+`","operation":"Succeeded",
		 "conditions":[{"type":"OrphanedResourceWarning","message":"one two ***"}],
		 "history":[{"id":0,"revision":"`+before+`","deployedAt":"`+stampOf(-5)+`"},{"id":1,"revision":"`+commit+`","deployedAt":"`+stampOf(3)+`"}]}]}`,
		string(data))
}

func TestStatusRefused(t *testing.T) {
	for name, c := range map[string]struct {
		code  int
		tries int
		says  string
	}{
		"unavailable":  {http.StatusServiceUnavailable, 3, "can't be read"},
		"unauthorized": {http.StatusUnauthorized, 1, "may not be read"},
		"forbidden":    {http.StatusForbidden, 1, "may not be read"},
	} {
		t.Run(name, func(t *testing.T) {
			a := serve(t, old())
			tried := 0
			a.refuse = func(*http.Request) int { tried++; return c.code }
			_, err := a.open().Show(t.Context(), newClock(), "argocd", []string{"hello-dev"})
			fault := faultOf(t, err, step.KindInfrastructure, StageStatus)
			assert.Equal(t, "Application argocd/hello-dev of https://example.com:6443", fault.Input)
			assert.Contains(t, fault.Reason, c.says)
			assert.Equal(t, c.tries, tried)
		})
	}
	a := serve(t, old())
	c := a.open()
	a.server.Close()
	_, err := c.Show(t.Context(), newClock(), "argocd", []string{"hello-dev"})
	fault := faultOf(t, err, step.KindInfrastructure, StageStatus)
	assert.Contains(t, fault.Reason, "connection refused")

	for _, names := range [][]string{nil, {"-x"}, {"hello-dev", ""}} {
		_, err := c.Show(t.Context(), newClock(), "argocd", names)
		assert.Contains(t, faultOf(t, err, step.KindInput, StageStatus).Input, "application")
	}
	_, err = c.Show(t.Context(), newClock(), "a/b", []string{"hello-dev"})
	assert.Contains(t, faultOf(t, err, step.KindInput, StageStatus).Input, "namespace")
}

func faultOf(t *testing.T, err error, kind step.Kind, stage string) *step.Fault {
	t.Helper()
	fault, ok := step.AsFault(err)
	require.Truef(t, ok, "%v", err)
	assert.Equal(t, []any{kind, stage}, []any{fault.Kind, fault.Stage})
	assert.NotEmpty(t, fault.Mend)
	assert.NotContains(t, fault.Error(), token)
	return fault
}

// A kubeconfig that can't be used, or must not be, is refused before anything
// is dialled.
func TestOpenRefuses(t *testing.T) {
	for reason, change := range map[string]func(*clientcmdapi.Config){
		"has no current context":                   func(c *clientcmdapi.Config) { c.CurrentContext = "" },
		"neither HTTPS nor on this host":           func(c *clientcmdapi.Config) { c.Clusters["c"].Server = "http://example.com:6443" },
		"verification of the server's":             func(c *clientcmdapi.Config) { c.Clusters["c"].InsecureSkipTLSVerify = true },
		"has no server URL":                        func(c *clientcmdapi.Config) { c.Clusters["c"].Server = "example" },
		"refers to files that are not there":       func(c *clientcmdapi.Config) { c.Clusters["c"].CertificateAuthority = "/nowhere/ca.crt" },
		`credentials from the program "get-token"`: func(c *clientcmdapi.Config) { c.AuthInfos["u"].Exec = &clientcmdapi.ExecConfig{Command: "get-token"} },
		"credentials from a program or another ":   func(c *clientcmdapi.Config) { c.AuthInfos["u"].TokenFile = "/nowhere/token" },
		"has credentials that can't be used":       func(c *clientcmdapi.Config) { c.Clusters["c"].CertificateAuthorityData = []byte("x") },
	} {
		t.Run(reason, func(t *testing.T) {
			config := clientcmdapi.NewConfig()
			config.Clusters["c"] = &clientcmdapi.Cluster{Server: "https://example.com:6443"}
			config.AuthInfos["u"] = &clientcmdapi.AuthInfo{Token: token}
			config.Contexts["x"] = &clientcmdapi.Context{Cluster: "c", AuthInfo: "u"}
			config.CurrentContext = "x"
			change(config)
			_, err := Open(StageWait, Access{Kubeconfig: write(t, *config)})
			assert.Contains(t, faultOf(t, err, step.KindInput, StageWait).Reason, reason)
		})
	}
	file := filepath.Join(t.TempDir(), "kubeconfig")
	_, err := Open(StageWait, Access{Kubeconfig: file})
	assert.Equal(t, "can't be read", faultOf(t, err, step.KindInput, StageWait).Reason)
	require.NoError(t, os.WriteFile(file, []byte("token: [ "+token), 0o600))
	_, err = Open(StageWait, Access{Kubeconfig: file})
	assert.Equal(t, "is not a kubeconfig", faultOf(t, err, step.KindInput, StageWait).Reason)
}

func TestClean(t *testing.T) {
	c := &Cluster{secrets: []string{token}}
	assert.Equal(t, "a b ***", c.clean("a\n\tb\x00 "+token))
	long := c.clean(strings.Repeat("ä", 1000))
	assert.Less(t, len(long), 1010)
	assert.True(t, strings.HasSuffix(long, "ä…"))
}
