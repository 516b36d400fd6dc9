package azure

import (
	"context"
	"encoding/json"
	"fmt"
	"path"
	"strings"
	"time"

	"slipway/step"
)

// ExecVersion is the version of the protocol between Kubernetes' clients and the
// programs that give them credentials, of those that AKS's own kubeconfigs name.
// https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins
const ExecVersion = "client.authentication.k8s.io/v1beta1"

// Kubelogin says whether the program that a kubeconfig takes its credentials from is
// kubelogin for AKS, whose place the identity takes; c may be nil. Any other program
// is refused: nothing that a kubeconfig names is run.
func (c *Credential) Kubelogin(stage, input, command string, args []string) error {
	name := strings.TrimSuffix(path.Base(strings.ReplaceAll(command, `\`, "/")), ".exe")
	if name != "kubelogin" || len(args) == 0 || args[0] != "get-token" {
		return step.Input(stage, input, fmt.Sprintf("takes its credentials from the program %.80q", command),
			"give a kubeconfig that holds a token or a client certificate, or one of AKS with kubelogin")
	}
	if c == nil {
		return step.Input(stage, input, "takes its credentials from kubelogin, and nobody is named who signs in to Azure",
			"give with-azure, whose identity then reaches the cluster, or a kubeconfig that holds a token or a client certificate")
	}
	for _, flag := range []struct{ long, short, want, reason, mend string }{
		{"--server-id", "", Kubernetes, "is for another server application than AKS's", "give the kubeconfig as az aks get-credentials writes it"},
		{"--tenant-id", "-t", c.identity.TenantID, "is for a cluster of another tenant", "give with-azure an identity of the cluster's tenant"},
	} {
		if value, given := option(args[1:], flag.long, flag.short); given && !strings.EqualFold(value, flag.want) {
			return step.Input(stage, input, fmt.Sprintf("%s: %s %.80q", flag.reason, flag.long, value), flag.mend)
		}
	}
	return nil
}

// option is the last value of a flag among a program's arguments.
func option(args []string, long, short string) (value string, given bool) {
	for i, arg := range args {
		name, after, joined := strings.Cut(arg, "=")
		if name != long && (short == "" || name != short) {
			continue
		}
		given = true
		switch {
		case joined:
			value = after
		case i+1 < len(args):
			value = args[i+1]
		}
	}
	return value, given
}

// ExecCredential is what a Kubernetes client reads from a program that gives it a
// token.
func (c *Credential) ExecCredential(ctx context.Context) ([]byte, error) {
	token, err := c.Token(ctx, Kubernetes)
	if err != nil {
		return nil, err
	}
	return json.Marshal(map[string]any{
		"apiVersion": ExecVersion, "kind": "ExecCredential",
		"status": map[string]string{"token": token.Value, "expirationTimestamp": token.renew.UTC().Format(time.RFC3339)},
	})
}
