package cluster

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"slipway/step"
	"slipway/step/azure"
	"slipway/step/azure/azuretest"
)

const aksHost = "acme.aks.azure.test"

// aks is a cluster of AKS whose local accounts are off, behind the proxy to Azure.
func aks(t *testing.T) (a *azuretest.Azure, kubeconfig func(args ...string) string, who func() *azure.Credential) {
	t.Helper()
	a = azuretest.Start(t)
	a.Life = 20 * time.Second
	a.Hosts[aksHost] = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		w.Header().Set("Content-Type", "application/json")
		if !a.Good(azure.Kubernetes, token) {
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = w.Write([]byte(`{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Unauthorized","code":401,"message":"who is ` + token + `"}`))
			return
		}
		_, _ = w.Write([]byte(`{"kind":"EventList","apiVersion":"v1","items":[]}`))
	})
	kubeconfig = func(args ...string) string {
		config := clientcmdapi.NewConfig()
		config.Clusters["c"] = &clientcmdapi.Cluster{Server: "https://" + aksHost + ":443", CertificateAuthorityData: []byte(a.CA())}
		config.AuthInfos["u"] = &clientcmdapi.AuthInfo{Exec: &clientcmdapi.ExecConfig{
			APIVersion: azure.ExecVersion, Command: "kubelogin", Args: append([]string{"get-token"}, args...), InteractiveMode: clientcmdapi.IfAvailableExecInteractiveMode,
		}}
		config.Contexts["x"] = &clientcmdapi.Context{Cluster: "c", AuthInfo: "u"}
		config.CurrentContext = "x"
		return write(t, *config)
	}
	who = func() *azure.Credential {
		identity, file := a.Identity()
		c, err := azure.Open(StageWait, identity.String(), file)
		require.NoError(t, err)
		c.Now = a.Now
		return c
	}
	return a, kubeconfig, who
}

func TestAnIdentityReachesAKSForLongerThanATokenLives(t *testing.T) {
	a, kubeconfig, who := aks(t)
	c, err := Open(StageWait, Access{Kubeconfig: kubeconfig("--server-id", azure.Kubernetes, "--tenant-id="+azuretest.Tenant), Azure: who()})
	require.NoError(t, err)
	require.NoError(t, c.SignIn(t.Context()))
	minted := map[int]bool{}
	for range 4 {
		_, err := c.kube.CoreV1().Events("x").List(t.Context(), metav1.ListOptions{})
		require.NoError(t, err)
		minted[len(a.Tokens())] = true
		a.Advance(time.Minute)
	}
	assert.Len(t, minted, 4, "each was asked for when it was needed")
	c.azure.Now = time.Now
	a.Advance(time.Hour)
	_, err = c.kube.CoreV1().Events("x").List(t.Context(), metav1.ListOptions{})
	require.ErrorContains(t, err, "who is")
	assert.Contains(t, c.clean(err.Error()), "who is ***")
	_, err = c.kube.CoreV1().Events("x").List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err, "a token that the server did not take is not tried again")
	for _, token := range a.Tokens() {
		if a.Good(azure.Kubernetes, token) {
			assert.Equal(t, "who is ***", c.clean("who is "+token))
		}
	}
}

func TestOnlyKubeloginIsTakenTheWordOf(t *testing.T) {
	a, kubeconfig, who := aks(t)
	refuses := func(reason string, at Access) {
		t.Helper()
		_, err := Open(StageWait, at)
		assert.Contains(t, faultOf(t, err, step.KindInput, StageWait).Reason, reason)
	}
	refuses("nobody is named who signs in to Azure", Access{Kubeconfig: kubeconfig()})
	refuses("another server application", Access{Kubeconfig: kubeconfig("--server-id", "https://vault.azure.net"), Azure: who()})
	refuses("another tenant", Access{Kubeconfig: kubeconfig("-t", "common"), Azure: who()})
	config, err := clientcmd.LoadFromFile(kubeconfig())
	require.NoError(t, err)
	config.AuthInfos["u"].Exec.Command = "sh"
	refuses(`takes its credentials from the program "sh"`, Access{Kubeconfig: write(t, *config), Azure: who()})
	assert.Empty(t, a.Asked(), "nobody was asked")

	a.Refuse["login.azure.test"] = http.StatusBadRequest
	c, err := Open(StageWait, Access{Kubeconfig: kubeconfig(), Azure: who()})
	require.NoError(t, err)
	assert.Contains(t, faultOf(t, c.SignIn(t.Context()), step.KindInput, StageWait).Reason, "Entra refuses the identity")
}

func TestWhoIsGivenBesideATokenIsNotAsked(t *testing.T) {
	a, _, who := aks(t)
	config := clientcmdapi.NewConfig()
	config.Clusters["c"] = &clientcmdapi.Cluster{Server: "https://example.com:6443"}
	config.AuthInfos["u"] = &clientcmdapi.AuthInfo{Token: token}
	config.Contexts["x"] = &clientcmdapi.Context{Cluster: "c", AuthInfo: "u"}
	config.CurrentContext = "x"
	c, err := Open(StageWait, Access{Kubeconfig: write(t, *config), Azure: who()})
	require.NoError(t, err)
	require.NoError(t, c.SignIn(t.Context()))
	assert.Empty(t, a.Asked())
}
