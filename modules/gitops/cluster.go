package main

import (
	"context"
	"crypto/rand"

	"dagger/gitops/internal/dagger"
)

// Azure is who reaches a cluster of AKS, and where Azure is.
type Azure struct {
	// +private
	Identity string
	// +private
	Token *dagger.Secret
	// +private
	Proxy *dagger.Service
}

// WithAzure says who reaches the cluster where a kubeconfig takes its credentials from
// kubelogin, as those of AKS do when its local accounts are off.
//
// +cache="168h"
func (g *Gitops) WithAzure(
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
) *Gitops {
	next := *g
	next.Azure = &Azure{Identity: identity, Token: token, Proxy: proxy}
	return &next
}

// inCluster is the container that asks the cluster, and its arguments after
// flags. It is never the same twice: what it reads can change.
func (g *Gitops) inCluster(
	verb string, kubeconfig *dagger.Secret, service *dagger.Service, connect string, flags ...string,
) (*dagger.Container, []string) {
	base := g.runner(argocdProgram).
		WithMountedSecret("/secrets/kubeconfig", kubeconfig)
	args := append([]string{
		"/step", verb, "--out", "/out", "--kubeconfig", "/secrets/kubeconfig",
	}, flags...)
	if g.Azure != nil {
		base = base.WithMountedSecret("/secrets/azure-token", g.Azure.Token)
		args = append(args, "--azure", g.Azure.Identity, "--azure-token-file", "/secrets/azure-token")
		if g.Azure.Proxy != nil {
			base = base.WithServiceBinding("azure", g.Azure.Proxy)
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

// Wait waits until Argo CD has synced a release's commit and found it healthy after
// that, and returns the step's result. The result's outcome says how the wait ended:
// healthy, degraded, sync-failed, superseded, deadline, lost or missing. Only a wrong
// request is a fault.
//
// +cache="never"
func (g *Gitops) Wait(
	ctx context.Context,
	// A kubeconfig that holds its certificates and credentials itself. Its user
	// may get, list, watch and patch Applications, and read the workloads, Pods
	// and Events of their namespaces.
	kubeconfig *dagger.Secret,
	// The Application, such as hello-dev.
	application string,
	// The release's commit in the GitOps repository.
	commit string,
	// The release's image, repository@sha256:….
	image string,
	// The namespace of the Application object.
	// +default="argocd"
	namespace string,
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
	base, args := g.inCluster("wait", kubeconfig, service, connect,
		"--namespace", namespace, "--application", application, "--commit", commit, "--image", image, "--deadline", deadline)
	return base.WithExec(args).File("/out/result.json").Contents(ctx)
}

// Status reads where Applications stand (revision, sync, health, images,
// history), and returns the step's result.
//
// +cache="never"
func (g *Gitops) Status(
	ctx context.Context,
	// A kubeconfig that holds its certificates and credentials itself. Its user
	// may get Applications.
	kubeconfig *dagger.Secret,
	// The Applications, in the order of the answer.
	applications []string,
	// The namespace of the Application objects.
	// +default="argocd"
	namespace string,
	// The service that answers for the API server, as host "kubernetes".
	// +optional
	service *dagger.Service,
	// Where the API server's address is reached: LOGICAL=ACTUAL, such as
	// localhost:6443=kubernetes:6443.
	// +optional
	connect string,
) (string, error) {
	flags := []string{"--namespace", namespace}
	for _, application := range applications {
		flags = append(flags, "--application", application)
	}
	base, args := g.inCluster("status", kubeconfig, service, connect, flags...)
	return base.WithExec(args).File("/out/result.json").Contents(ctx)
}

// Admit asks the cluster, by a dry run, whether it would admit the pods of
// rendered manifests, and returns the step's result. The cluster's own admission
// policies decide; nothing is stored. A refusal names the policy.
//
// +cache="never"
func (g *Gitops) Admit(
	ctx context.Context,
	// A kubeconfig that holds its certificates and credentials itself. Its user
	// may create Pods in the namespaces of the manifests.
	kubeconfig *dagger.Secret,
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
	base, args := g.inCluster("admit", kubeconfig, service, connect, "--manifests", "/manifests.yaml")
	return base.WithMountedFile("/manifests.yaml", manifests).
		WithExec(args).File("/out/result.json").Contents(ctx)
}
