// Package cluster asks Argo CD, through the Kubernetes API, what became of a
// release: it waits until a commit of the GitOps repository is live, and shows
// where Applications stand.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	argocd "github.com/argoproj/argo-cd/v2/pkg/client/clientset/versioned"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"slipway/step"
	"slipway/step/azure"
	"slipway/step/reach"
)

// The stages named by this package's faults.
const (
	StageWait   = "wait"
	StageStatus = "status"
)

// patience bounds one request that is not a watch.
const patience = 20 * time.Second

// Access says which cluster is meant and how it is reached.
type Access struct {
	// Kubeconfig is a self-contained kubeconfig file.
	Kubeconfig string
	// Connect redirects logical names; may be nil. TLS verifies the logical one.
	Connect reach.Connections
	// Azure is who reaches a cluster of AKS whose kubeconfig names kubelogin; nil is
	// nobody.
	Azure *azure.Credential
}

// Cluster is a Kubernetes API server with Argo CD's types.
type Cluster struct {
	// Server is the API server's logical URL.
	Server string

	apps    argocd.Interface
	kube    kubernetes.Interface
	azure   *azure.Credential
	secrets []string
}

// Open reads the kubeconfig's current context. It does not touch the network.
// What the kubeconfig holds is never part of an error.
func Open(stage string, access Access) (*Cluster, error) {
	input := fmt.Sprintf("kubeconfig %q", access.Kubeconfig)
	data, err := os.ReadFile(access.Kubeconfig)
	if err != nil {
		return nil, step.Input(stage, input, "can't be read", "give the path of a kubeconfig file").Because(err)
	}
	raw, err := clientcmd.Load(data)
	if err != nil {
		return nil, step.Input(stage, input, "is not a kubeconfig", "give what `kubectl config view --raw --minify --flatten` prints").Because(err)
	}
	at := raw.Contexts[raw.CurrentContext]
	if at == nil {
		return nil, step.Input(stage, input, "has no current context", "name one with `kubectl config use-context`")
	}
	c := &Cluster{}
	switch user := raw.AuthInfos[at.AuthInfo]; {
	case user == nil:
	case user.AuthProvider != nil || user.TokenFile != "":
		return nil, step.Input(stage, input, "takes its credentials from a program or another file",
			"give a kubeconfig that holds a token or a client certificate")
	case user.Exec != nil:
		if err := access.Azure.Kubelogin(stage, input, user.Exec.Command, user.Exec.Args); err != nil {
			return nil, err
		}
		c.azure, raw.AuthInfos[at.AuthInfo] = access.Azure, clientcmdapi.NewAuthInfo()
	}
	config, err := clientcmd.NewDefaultClientConfig(*raw, &clientcmd.ConfigOverrides{}).ClientConfig()
	if err != nil {
		return nil, step.Input(stage, input, "is incomplete or refers to files that are not there",
			"give what `kubectl config view --raw --minify --flatten` prints").Because(err)
	}
	server, err := url.Parse(config.Host)
	switch {
	case err != nil || server.Host == "" || server.User != nil:
		return nil, step.Input(stage, input, "has no server URL", "give the server as https://host:port").Because(err)
	case config.Insecure:
		return nil, step.Input(stage, input, "turns the verification of the server's certificate off",
			"give certificate-authority-data instead of insecure-skip-tls-verify")
	case server.Scheme != "https" && (server.Scheme != "http" || !reach.Loopback(server.Hostname())):
		return nil, step.Input(stage, input, "names a server that is neither HTTPS nor on this host", "use https://")
	}
	c.Server = server.Scheme + "://" + server.Host
	for _, secret := range []string{config.BearerToken, config.Password, string(config.KeyData)} {
		if secret != "" {
			c.secrets = append(c.secrets, secret)
		}
	}
	config.Dial = access.Connect.DialContext
	if c.azure != nil {
		config.Proxy = c.azure.Proxy
		config.Wrap(func(inner http.RoundTripper) http.RoundTripper { return bearer{inner, c.azure} })
	}
	if len(access.Connect) > 0 {
		config.Proxy = func(*http.Request) (*url.URL, error) { return nil, nil }
	}
	config.UserAgent = "slipway"
	config.QPS, config.Burst = 50, 100
	config.WarningHandler = rest.NoWarnings{}
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, step.Input(stage, input, "has credentials that can't be used", "check its certificates and keys").Because(err)
	}
	if c.apps, err = argocd.NewForConfigAndClient(config, client); err == nil {
		c.kube, err = kubernetes.NewForConfigAndClient(config, client)
	}
	if err != nil {
		return nil, step.Input(stage, input, "can't be used", "check its server and credentials").Because(err)
	}
	return c, nil
}

// clean renders what a server said on one bounded line, without the
// kubeconfig's secrets.
func (c *Cluster) clean(text string) string {
	const most = 1000
	for _, secret := range c.secrets {
		text = strings.ReplaceAll(text, secret, "***")
	}
	if c.azure != nil {
		text = c.azure.Hide(text)
	}
	text = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(text, "?"), func(r rune) bool {
		return r <= ' ' || r == 0x7f
	}), " ")
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}

// because is clean for an error; the request's URL says nothing here.
func (c *Cluster) because(err error) string {
	var request *url.Error
	if errors.As(err, &request) {
		err = request.Err
	}
	return c.clean(err.Error())
}

// Clock tells the time and waits; tests have their own.
type Clock interface {
	Now() time.Time
	// After is time.After.
	After(time.Duration) <-chan time.Time
}

// Real is the machine's clock.
type Real struct{}

// Now is time.Now.
func (Real) Now() time.Time { return time.Now() }

// After is time.After.
func (Real) After(d time.Duration) <-chan time.Time { return time.After(d) }

// pause waits for d, and says whether the context is still alive.
func pause(ctx context.Context, clock Clock, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-clock.After(d):
		return ctx.Err() == nil
	}
}

// backoff is the wait before try n, from 0.
func backoff(n int) time.Duration {
	const first, most = 250 * time.Millisecond, 10 * time.Second
	return min(first<<min(n, 10), most)
}
