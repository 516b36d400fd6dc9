package main

import (
	"context"
	"crypto/rand"

	"dagger/gitops/internal/dagger"

	"slipway/step"
)

// Cluster is a cluster that Argo CD runs in, and who asks it.
type Cluster struct {
	Gitops     *Gitops        // +private
	Kubeconfig *dagger.Secret // +private
	Namespace  string         // +private
	Azure      *Azure         // +private
}

// Azure is who reaches a cluster of AKS, and where Azure is.
type Azure struct {
	Identity string          // +private
	Token    *dagger.Secret  // +private
	Proxy    *dagger.Service // +private
}

// Cluster names the cluster that Argo CD runs in, and who asks it. What is called on
// it asks the cluster now, through the service that it is given.
//
// +cache="168h"
func (g *Gitops) Cluster(
	// A kubeconfig that holds its certificates and credentials itself.
	kubeconfig *dagger.Secret,
	// The namespace of the Application objects.
	// +default="argocd"
	namespace string,
) *Cluster {
	return &Cluster{Gitops: g, Kubeconfig: kubeconfig, Namespace: namespace}
}

// WithAzure says who reaches the cluster where the kubeconfig takes its credentials from
// kubelogin, as those of AKS do when its local accounts are off.
//
// +cache="168h"
func (c *Cluster) WithAzure(
	// A JSON object: clientId, tenantId and subscriptionId; requestUrl, where a CI
	// job asks for its tokens, and Azure DevOps' serviceConnection; metadataHost and
	// authorities, in PEM, of another cloud, and the proxy's URL that it is reached
	// through.
	identity string,
	// The job's request token, or without a request URL the token itself.
	token *dagger.Secret,
	// The service that answers for the proxy, at the name azure.
	// +optional
	proxy *dagger.Service,
) *Cluster {
	next := *c
	next.Azure = &Azure{Identity: identity, Token: token, Proxy: proxy}
	return &next
}

// asking is the container that asks the cluster, and its arguments before those of the
// verb. It is never the same twice: what it reads can change.
func (c *Cluster) asking(service *dagger.Service, connect, verb string) (*dagger.Container, []string) {
	base := c.Gitops.runner(argocdProgram).
		WithMountedSecret("/secrets/kubeconfig", c.Kubeconfig)
	args := []string{"/step", verb, "--out", "/out", "--kubeconfig", "/secrets/kubeconfig"}
	if c.Azure != nil {
		base = base.WithMountedSecret("/secrets/azure-token", c.Azure.Token)
		args = append(args, "--azure", c.Azure.Identity, "--azure-token-file", "/secrets/azure-token")
		if c.Azure.Proxy != nil {
			base = base.WithServiceBinding("azure", c.Azure.Proxy)
		}
	}
	if service != nil {
		base = base.WithServiceBinding("kubernetes", service)
	}
	if connect != "" {
		args = append(args, "--connect", connect)
	}
	return base.WithEnvVariable("SLIPWAY_RUN", rand.Text()), args
}

// applications runs a verb about Applications, and returns the step's result.
func (c *Cluster) applications(ctx context.Context, service *dagger.Service, connect, verb string, names []string, flags ...string) (string, error) {
	base, args := c.asking(service, connect, verb)
	args = append(append(args, "--namespace", c.Namespace), flags...)
	for _, name := range names {
		args = append(args, "--application", name)
	}
	return base.WithExec(args).Directory("/out").File(step.ResultFile).Contents(ctx)
}

// Wait waits until Argo CD has synced a release's commit and found it healthy after
// that, and returns the step's result. The result's outcome says how the wait ended:
// healthy, degraded, sync-failed, superseded, deadline, lost or missing. Only a wrong
// request is a fault. The kubeconfig's user may get, list, watch and patch
// Applications, and read the workloads, Pods and Events of their namespaces.
//
// +cache="never"
func (c *Cluster) Wait(
	ctx context.Context,
	// The Application, such as hello-dev.
	application string,
	// The release's commit in the GitOps repository.
	commit string,
	// The release's image, repository@sha256:….
	image string,
	// How long to wait, such as 10m.
	// +default="10m"
	deadline string,
	// The service that answers for the API server, as host "kubernetes".
	// +optional
	service *dagger.Service,
	// Where the API server's address is reached: LOGICAL=ACTUAL, such as
	// localhost:6443=kubernetes:6443.
	// +optional
	connect string,
) (string, error) {
	return c.applications(ctx, service, connect, "wait", []string{application}, "--commit", commit, "--image", image, "--deadline", deadline)
}

// Status reads where Applications stand (revision, sync, health, images,
// history), and returns the step's result. The kubeconfig's user may get
// Applications.
//
// +cache="never"
func (c *Cluster) Status(
	ctx context.Context,
	// The Applications, in the order of the answer.
	applications []string,
	// The service that answers for the API server, as host "kubernetes".
	// +optional
	service *dagger.Service,
	// Where the API server's address is reached: LOGICAL=ACTUAL, such as
	// localhost:6443=kubernetes:6443.
	// +optional
	connect string,
) (string, error) {
	return c.applications(ctx, service, connect, "status", applications)
}

// Refresh asks Argo CD to look at Git now instead of at its next poll, and returns the
// step's result, which says why it could not be asked. The kubeconfig's user may patch
// Applications.
//
// +cache="never"
func (c *Cluster) Refresh(
	ctx context.Context,
	// The Application that follows the overlay, such as hello-dev.
	application string,
	// The service that answers for the API server, as host "kubernetes".
	// +optional
	service *dagger.Service,
	// Where the API server's address is reached: LOGICAL=ACTUAL, such as
	// localhost:6443=kubernetes:6443.
	// +optional
	connect string,
) (string, error) {
	return c.applications(ctx, service, connect, "refresh", []string{application})
}

// Admit asks the cluster, by a dry run, whether it would admit the pods of
// rendered manifests, and returns the step's result. The cluster's own admission
// policies decide; nothing is stored. A refusal names the policy. The kubeconfig's
// user may create Pods in the namespaces of the manifests.
//
// +cache="never"
func (c *Cluster) Admit(
	ctx context.Context,
	// The rendered manifests.
	manifests *dagger.File,
	// The service that answers for the API server, as host "kubernetes".
	// +optional
	service *dagger.Service,
	// Where the API server's address is reached: LOGICAL=ACTUAL, such as
	// localhost:6443=kubernetes:6443.
	// +optional
	connect string,
) (string, error) {
	base, args := c.asking(service, connect, "admit")
	return base.WithMountedFile("/manifests.yaml", manifests).
		WithExec(append(args, "--manifests", "/manifests.yaml")).Directory("/out").File(step.ResultFile).Contents(ctx)
}
