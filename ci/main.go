// Slipway delivers an app: build, scan, publish, sign, provision, release.
//
// Each stage is a function of the type that the stage before it returns, so the
// order can be read from the types and can't be walked around: only a scanned
// image can be published, only a published one signed, only a signed one
// released. Each stage checks again what it relies on.
//
// Examples:
//
//	dagger call deliver --app hello --env dev
//	dagger call app --name hello build scan publish sign release --env dev receipt
//	dagger call infra --env dev plan check apply
package main

import (
	"context"

	"slipway/ci/internal/dagger"

	"slipway/ci/config"
	"slipway/step"
)

// Slipway is one platform: its source, its configuration, and the key and
// services that this call may use.
type Slipway struct {
	Source           *dagger.Directory // +private
	Config           *Config           // +private
	Revocations      []Revocation      // +private
	Repository       *dagger.Directory // +private
	Checkouts        []*Checkout       // +private
	Key              *dagger.Secret    // +private
	KeyPassword      *dagger.Secret    // +private
	ManagedKey       *ManagedKey       // +private
	Identity         *SigningIdentity  // +private
	PublicKey        *dagger.File      // +private
	DatabaseKey      *dagger.File      // +private
	Terraform        *dagger.File      // +private
	Providers        *dagger.Directory // +private
	Registry         *Endpoint         // +private
	GitOps           *Endpoint         // +private
	Platform         *Endpoint         // +private
	State            *Endpoint         // +private
	Kubeconfig       *dagger.Secret    // +private
	Cluster          *Endpoint         // +private
	Azure            *Azure            // +private
	Variables        *dagger.Secret    // +private
	BuildSecretNames []string          // +private
	BuildSecrets     []*dagger.Secret  // +private
	Prebuilt         *dagger.Directory // +private
	Modules          *ModuleSource     // +private
	Packages         *PackageSource    // +private
	Runner           string            // +private
	Invocation       string            // +private
}

// New reads and checks slipway.yaml and, where there is one, revocations.yaml.
//
// +cache="168h"
func New(
	ctx context.Context,
	// The platform's repository.
	// +defaultPath="/"
	// +ignore=["*", "!slipway.yaml", "!revocations.yaml", "!apps", "!infra", "!gitops", "!.git", ".git/*", "infra/**/.terraform", "infra/**/*.tfstate*"]
	source *dagger.Directory,
	// The checkout that the source belongs to: its .git folder is read, but never its
	// settings. What is delivered is compared with the commit at its head. The commit's
	// id goes into provenance, release and receipt, with -dirty appended when anything
	// that was taken differs from the commit. For a linked worktree, the repository
	// that it was made from.
	// +defaultPath="/"
	// +ignore=["*", "!.git", ".git/*", "!.git/HEAD", "!.git/packed-refs", "!.git/refs", ".git/refs/*", "!.git/refs/heads", "!.git/objects", "!.git/reftable", "!.git/worktrees", ".git/worktrees/*/*", "!.git/worktrees/*/HEAD"]
	repository *dagger.Directory,
	// The signing key, in cosign's encrypted format. Example: file:cosign.key
	// +optional
	key *dagger.Secret,
	// The signing key's password. Example: env:COSIGN_PASSWORD
	// +optional
	keyPassword *dagger.Secret,
	// The executable of Terraform or OpenTofu, for linux/amd64; by default an OpenTofu
	// that the pipeline compiles. Example: /usr/local/bin/terraform
	// +optional
	terraform *dagger.File,
	// A mirror of the Terraform providers that the code's lock file names, as terraform
	// providers mirror makes it. With a mirror, no provider comes from its registry.
	// Example: ./mirror
	// +optional
	providers *dagger.Directory,
	// A service that stands in for every localhost address of the
	// configuration: the embedded registry, Git remote and Terraform state.
	// Example: tcp://localhost:5000
	// +optional
	sandbox *dagger.Service,
	// The sandbox's accounts: a JSON object with a username and a password for each
	// of images, database, toolbox, gitops and state. They are used where the
	// sandbox stands in, and nowhere else.
	// Example: file:.slipway/sandbox/data/accounts.json
	// +optional
	accounts *dagger.Secret,
	// The kubeconfig of the cluster that Argo CD runs in, with its credentials in it.
	// One from AKS, which names kubelogin instead, needs with-azure, which says who
	// reaches the cluster. Example: file:kubeconfig
	// +optional
	kubeconfig *dagger.Secret,
	// A service that stands in for the cluster's Kubernetes API when a container
	// does not reach it directly. Example: tcp://localhost:6443
	// +optional
	kubernetes *dagger.Service,
	// A published toolbox, whose programs are verified and pulled instead of compiled:
	// what toolbox publish returned. For a registry that wants a password, use
	// with-toolbox instead. Example: ghcr.io/acme/toolbox@sha256:…
	// +optional
	toolbox string,
	// The PEM public key that must have signed the toolbox; by default the
	// platform's. Example: ./toolbox.pub
	// +optional
	toolboxKey *dagger.File,
	// The PEM public key that must have signed the vulnerability database where
	// slipway.yaml does not say who; by default the platform's. Example: ./database.pub
	// +optional
	databaseKey *dagger.File,
) (*Slipway, error) {
	text, err := source.File(config.File).Contents(ctx)
	if err != nil {
		return nil, step.Input("config", config.File, "can't be read: "+err.Error(), "add it at the repository's root")
	}
	c, err := config.Parse([]byte(text))
	if err != nil {
		return nil, err
	}
	if text, err = revocations(ctx, source); err != nil {
		return nil, err
	}
	revoked, err := config.Revocations([]byte(text), c.EnvironmentNames())
	if err != nil {
		return nil, err
	}
	if kubeconfig != nil && c.Infra.Cluster != nil {
		c.Infra = *c.Infra.Cluster
	}
	s := &Slipway{
		Source: source, Revocations: revoked, Repository: repository, Key: key, KeyPassword: keyPassword, DatabaseKey: databaseKey, Terraform: terraform, Providers: providers,
		Registry: &Endpoint{Username: c.Registry.Username}, GitOps: &Endpoint{Username: c.GitOps.Username}, Platform: &Endpoint{},
		State: &Endpoint{Username: c.Infra.Username}, Kubeconfig: kubeconfig, Cluster: &Endpoint{Service: kubernetes},
	}
	for _, e := range []struct {
		endpoint *Endpoint
		address  string
	}{{s.Platform, c.Platform.Remote}, {s.Registry, "//" + c.Registry.Repository}, {s.GitOps, c.GitOps.Remote}, {s.State, c.Infra.State}} {
		e.endpoint.Service = local(e.address, sandbox)
	}
	if err := s.signIn(ctx, accounts); err != nil {
		return nil, err
	}
	s, err = s.configured(*c)
	if err != nil || toolbox == "" {
		return s, err
	}
	return s.WithToolbox(ctx, toolbox, toolboxKey, "", nil, local("//"+toolbox, sandbox))
}

// configured returns s with other settings, after checking them.
func (s *Slipway) configured(c config.Config) (*Slipway, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	next := *s
	next.Config = &c
	return &next, nil
}

// WithRegistry sends images to another registry.
//
// Example: dagger call with-registry --repository ghcr.io/acme --username bot --password env:TOKEN deliver --app hello --env dev
//
// +cache="168h"
func (s *Slipway) WithRegistry(
	// Prefix of every image: host[:port][/path].
	// +optional
	repository string,
	// Who pushes.
	// +optional
	username string,
	// The registry's password or token.
	// +optional
	password *dagger.Secret,
	// A service that answers for the repository's host.
	// +optional
	service *dagger.Service,
) (*Slipway, error) {
	c := *s.Config
	c.Registry.Repository = or(repository, c.Registry.Repository)
	next := *s
	next.Registry = s.Registry.with(username, password, service, repository != "")
	return next.configured(c)
}

// WithGitops releases into another GitOps repository.
//
// Example: dagger call with-gitops --remote https://github.com/acme/platform.git --username bot --token env:TOKEN deliver --app hello --env dev
//
// +cache="168h"
func (s *Slipway) WithGitops(
	// The repository's http(s) URL.
	// +optional
	remote string,
	// The branch that Argo CD follows.
	// +optional
	branch string,
	// Who pushes.
	// +optional
	username string,
	// The token or password of who pushes.
	// +optional
	token *dagger.Secret,
	// A service that answers for the remote's host.
	// +optional
	service *dagger.Service,
) (*Slipway, error) {
	c := *s.Config
	c.GitOps.Remote = or(remote, c.GitOps.Remote)
	c.GitOps.Branch = or(branch, c.GitOps.Branch)
	next := *s
	next.GitOps = s.GitOps.with(username, token, service, remote != "")
	return next.configured(c)
}

// WithState keeps the Terraform state in another http backend.
//
// +cache="168h"
func (s *Slipway) WithState(
	// The backend's base URL.
	// +optional
	address string,
	// Who reads and writes the state.
	// +optional
	username string,
	// The backend's password.
	// +optional
	password *dagger.Secret,
	// A service that answers for the address's host.
	// +optional
	service *dagger.Service,
) (*Slipway, error) {
	c := *s.Config
	c.Infra.State = or(address, c.Infra.State)
	next := *s
	next.State = s.State.with(username, password, service, address != "")
	return next.configured(c)
}

// WithInfraVariables gives secret values to variables that the Terraform code declares
// ephemeral, for provider settings and write-only arguments: no plan, state or log
// holds them. Whoever applies a plan has to give them, too. Any other variable is
// refused, because a plan would hold its value. It needs Terraform 1.10 or later.
//
// Example: dagger call with-infra-variables --variables file:secrets.json infra --env dev plan check apply outputs
//
// +cache="168h"
func (s *Slipway) WithInfraVariables(
	// A JSON object of names and values, such as {"token": "…"}.
	variables *dagger.Secret,
) *Slipway {
	next := *s
	next.Variables = variables
	return &next
}

// WithDatabase scans with another vulnerability database. What slipway.yaml says of who
// vouches for it holds for this one, too.
//
// Example: dagger call with-database --repository ghcr.io/acme/trivy-db deliver --app hello --env dev
//
// +cache="168h"
func (s *Slipway) WithDatabase(
	// The OCI artifact's repository, without a tag.
	repository string,
) (*Slipway, error) {
	c := *s.Config
	c.Scan.Database.Repository = repository
	return s.configured(c)
}

// WithPublicKey verifies signatures with this key instead of the configured
// one. Where slipway.yaml names identities that sign, it is refused.
//
// +cache="168h"
func (s *Slipway) WithPublicKey(
	// A PEM public key.
	key *dagger.File,
) *Slipway {
	next := *s
	next.PublicKey = key
	return &next
}

// ModuleSource is the source of the apps' modules that the platform's proxies lack.
type ModuleSource struct {
	Proxy   string         // +private
	Private string         // +private
	Netrc   *dagger.Secret // +private
}

// WithModules fetches apps' Go modules from private proxies. Only the step that fetches
// sees the credentials; nothing of the app does.
//
// Example: dagger call with-modules --proxy https://modules.acme.example --private 'acme.example/*' --netrc file:$HOME/.netrc app --name hello build digest
//
// +cache="168h"
func (s *Slipway) WithModules(
	// Module proxies, in GOPROXY's notation.
	// +optional
	proxy string,
	// Patterns of modules that the public checksum database doesn't know, in
	// GOPRIVATE's notation.
	// +optional
	private string,
	// Credentials of the proxies, in .netrc's format.
	// +optional
	netrc *dagger.Secret,
) *Slipway {
	next := *s
	next.Modules = &ModuleSource{Proxy: proxy, Private: private, Netrc: netrc}
	return &next
}

func or(value, otherwise string) string {
	if value != "" {
		return value
	}
	return otherwise
}
