// A platform to try everything on: a real Kubernetes with a real Argo CD, as a
// service. Its parts are compiled from source once; what it stores outlives it.
//
// Example: dagger -m modules/sandbox call cluster --seed file:seed --sandbox tcp://localhost:5000 --gitops gitops service up --ports 6443:6443,8443:8443,8080:8080,9000:9000
package main

import (
	"context"
	"fmt"
	"net"

	"dagger/sandbox/internal/dagger"

	"slipway/sandbox/pki"
)

// Sandbox makes clusters for development and tests.
type Sandbox struct {
	// +private
	Prebuilt *dagger.Directory
}

// New takes a published node, or leaves everything to be compiled.
//
// +cache="168h"
func New(
	ctx context.Context,
	// A published node, whose programs are verified and pulled instead of
	// compiled: what publish of this very revision returned. Example: ghcr.io/acme/node@sha256:…
	// +optional
	toolbox string,
	// The PEM public key that must have signed it. Example: ./toolbox.pub
	// +optional
	toolboxKey *dagger.File,
	// Who reads it.
	// +optional
	username string,
	// The registry's password or token.
	// +optional
	password *dagger.Secret,
	// A service that answers for the registry that it is in. Example: tcp://localhost:5000
	// +optional
	service *dagger.Service,
) (*Sandbox, error) {
	if toolbox == "" {
		return &Sandbox{}, nil
	}
	prebuilt, err := pull(ctx, toolbox, toolboxKey, username, password, service)
	return &Sandbox{Prebuilt: prebuilt}, err
}

// Ports of a cluster's service.
const (
	apiPort    = 6443
	argocdPort = 8443
	appsPort   = 8080
	statusPort = 9000
)

const (
	registryAlias = "sandbox"
	seedFile      = "/secrets/seed"
)

// Cluster is a single-node Kubernetes with Argo CD on it.
type Cluster struct {
	// +private
	Sandbox *Sandbox
	// +private
	Seed *dagger.Secret
	// +private
	Beside *dagger.Service
	// +private
	Gitops *dagger.Directory
	// +private
	Name string
	// +private
	Reset bool
}

// Cluster is a single-node Kubernetes with Argo CD on it, whose data lies in a cache
// volume of the given name. Only one at a time may run on the same data.
//
// +cache="168h"
func (s *Sandbox) Cluster(
	// The secret that all of the cluster's keys and passwords are derived from: at
	// least 26 random characters. Example: file:seed
	seed *dagger.Secret,
	// The GitOps tree: the folder that holds platform/.
	gitops *dagger.Directory,
	// The registry and Git remote beside the cluster, for which localhost:5000
	// stands in it. Example: tcp://localhost:5000
	// +optional
	sandbox *dagger.Service,
	// The name of the cluster's data.
	// +default="default"
	name string,
	// Begin with an empty cluster: what the name's data held is deleted.
	// +optional
	reset bool,
) *Cluster {
	return &Cluster{Sandbox: s, Seed: seed, Gitops: gitops, Beside: sandbox, Name: name, Reset: reset}
}

// Service is the running cluster. Its ports: 6443 the Kubernetes API, 8443 Argo
// CD's API, 8080 the apps as http://<app>.<environment>.localhost:8080, 9000 the
// node's status as JSON.
//
// +cache="never"
func (c *Cluster) Service(ctx context.Context) (*dagger.Service, error) {
	node, err := c.Sandbox.NodeImage()
	if err != nil {
		return nil, err
	}
	args := []string{
		"/usr/local/bin/slipway-node", "--seed", seedFile, "--images", imageFolder, "--bootstrap", bootstrapFolder,
		"--host", "kubernetes",
	}
	node = node.
		WithMountedCache("/data", dag.CacheVolume("slipway-cluster-"+c.Name), dagger.ContainerWithMountedCacheOpts{Sharing: dagger.CacheSharingModeShared}).
		WithMountedTemp("/run").
		WithMountedTemp("/tmp").
		WithMountedSecret(seedFile, c.Seed).
		WithFile(bootstrapFolder+"/platform.yaml", c.Sandbox.platform(c.Gitops))
	if c.Reset {
		args = append(args, "--reset")
	}
	if c.Beside != nil {
		node = node.WithServiceBinding(registryAlias, c.Beside)
		port, err := portOf(ctx, c.Beside)
		if err != nil {
			return nil, err
		}
		args = append(args, "--sandbox", registryAlias+":"+port)
	}
	for _, port := range []int{statusPort, apiPort, argocdPort, appsPort} {
		node = node.WithExposedPort(port, dagger.ContainerWithExposedPortOpts{ExperimentalSkipHealthcheck: port != statusPort})
	}
	return node.AsService(dagger.ContainerAsServiceOpts{Args: args, InsecureRootCapabilities: true}), nil
}

// portOf is the port that a service answers at; one with several, at its first.
func portOf(ctx context.Context, service *dagger.Service) (string, error) {
	// Not its Ports: an engine that is stopped while a call holds a list of
	// them can't save it, and loses all its caches (v0.21.7).
	endpoint, err := service.Endpoint(ctx)
	if err != nil {
		return "", fmt.Errorf("the service's port: %w", err)
	}
	_, port, err := net.SplitHostPort(endpoint)
	if err != nil {
		return "", fmt.Errorf("the service's port: %w", err)
	}
	return port, nil
}

// Kubeconfig is the configuration of a Kubernetes client that may do everything
// in the cluster. Nothing of it is stored: it is derived from the seed.
//
// +cache="never"
func (c *Cluster) Kubeconfig(
	ctx context.Context,
	// The URL that the client reaches the Kubernetes API at.
	// +default="https://localhost:6443"
	server string,
) (*dagger.Secret, error) {
	authority, err := c.authority(ctx)
	if err != nil {
		return nil, err
	}
	text, err := authority.Kubeconfig(server, "slipway-admin", "system:masters")
	if err != nil {
		return nil, err
	}
	return dag.SetSecret("kubeconfig of "+c.Name, text), nil
}

// ArgocdAccess is how Argo CD's API is reached.
type ArgocdAccess struct {
	// Server is the API's URL.
	Server string
	// Username of the administrator.
	Username string
	// Password of the administrator.
	Password *dagger.Secret
	// Certificate of the authority that the server is verified by.
	Certificate *dagger.File
}

// Argocd is how Argo CD's API is reached.
//
// Example: dagger -m modules/sandbox call cluster --seed file:seed --gitops gitops argocd password plaintext
//
// +cache="never"
func (c *Cluster) Argocd(
	ctx context.Context,
	// The URL that the client reaches the API at.
	// +default="https://localhost:8443"
	server string,
) (*ArgocdAccess, error) {
	authority, err := c.authority(ctx)
	if err != nil {
		return nil, err
	}
	password, err := authority.Password("argocd-admin")
	if err != nil {
		return nil, err
	}
	return &ArgocdAccess{
		Server: server, Username: "admin", Password: dag.SetSecret("argocd password of "+c.Name, password),
		Certificate: dag.File("ca.crt", string(authority.Certificate())),
	}, nil
}

// Registry is the registry beside the cluster, which everything in it reaches as
// localhost:5000.
//
// +cache="168h"
func (c *Cluster) Registry() (*dagger.Service, error) { return c.beside("registry") }

// Git is the Git remote beside the cluster, whose repository everything in it
// reaches as http://localhost:5000/gitops.git.
//
// +cache="168h"
func (c *Cluster) Git() (*dagger.Service, error) { return c.beside("Git remote") }

// beside is the service that serves both.
func (c *Cluster) beside(what string) (*dagger.Service, error) {
	if c.Beside == nil {
		return nil, fmt.Errorf("cluster: bad input: it has no %s beside it\n  mend: give --sandbox tcp://HOST:PORT", what)
	}
	return c.Beside, nil
}

// Certificate is the certificate of the cluster's own authority, by which its
// servers are verified.
//
// +cache="never"
func (c *Cluster) Certificate(ctx context.Context) (*dagger.File, error) {
	authority, err := c.authority(ctx)
	if err != nil {
		return nil, err
	}
	return dag.File("ca.crt", string(authority.Certificate())), nil
}

func (c *Cluster) authority(ctx context.Context) (*pki.Authority, error) {
	seed, err := c.Seed.Plaintext(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the seed: %w", err)
	}
	return pki.New([]byte(seed))
}
