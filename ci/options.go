package main

import (
	"fmt"
	"slices"

	"slipway/ci/internal/dagger"

	"slipway/ci/evidence"
	"slipway/step"
)

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

// WithGitops releases into another GitOps repository, whichever environment: what
// slipway.yaml says of one counts no more.
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
	c.ReleaseTo(remote, branch)
	next := *s
	next.GitOps = s.GitOps.with(username, token, service, remote != "")
	return next.configured(c)
}

// WithState keeps the Terraform state in another http backend, whichever environment.
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
	c.KeepStateAt(address)
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
// ones, whichever environment. Where slipway.yaml names identities that sign, it is refused.
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

// PackageSource is how the registries of apps' packages are reached.
type PackageSource struct {
	Netrc   *dagger.Secret  // +private
	Service *dagger.Service // +private
}

// WithPackages fetches the packages of apps' lock files from a registry or an index
// that asks for credentials: build.npm.registry and build.pip.index of slipway.yaml.
// Only the step that fetches sees them; nothing of the app does.
//
// Example: dagger call with-packages --netrc file:$HOME/.netrc app --name shop build digest
//
// +cache="168h"
func (s *Slipway) WithPackages(
	// Credentials of the registry and the index, in .netrc's format.
	// +optional
	netrc *dagger.Secret,
	// A service that stands in for their localhost addresses.
	// Example: tcp://localhost:8081
	// +optional
	service *dagger.Service,
) *Slipway {
	next := *s
	next.Packages = &PackageSource{Netrc: netrc, Service: service}
	return &next
}

// WithBuildSecret gives a secret to the build of each Dockerfile whose app.yaml names
// it below build.secrets, for RUN --mount=type=secret,id=NAME. It gets into no layer,
// unless a command puts it there.
//
// Example: dagger call with-build-secret --name npm --value env:NPM_TOKEN app --name shop build digest
//
// +cache="168h"
func (s *Slipway) WithBuildSecret(
	// The secret's id in the Dockerfile and in app.yaml.
	name string,
	// Its value.
	value *dagger.Secret,
) (*Slipway, error) {
	if slices.Contains(s.BuildSecretNames, name) {
		return nil, step.Input("config", fmt.Sprintf("build secret %.80q", name), "is given twice", "give each once")
	}
	next := *s
	next.BuildSecretNames, next.BuildSecrets = append(slices.Clone(s.BuildSecretNames), name), append(slices.Clone(s.BuildSecrets), value)
	return &next, nil
}

// Runner is what the pipeline runs on.
type Runner string

const (
	// A developer's machine, or one that nothing is known about.
	Local Runner = "LOCAL"
	// GitHub Actions.
	GithubActions Runner = "GITHUB_ACTIONS"
	// Azure DevOps.
	AzureDevops Runner = "AZURE_DEVOPS"
)

var runners = map[Runner]evidence.Runner{
	Local: evidence.RunnerLocal, GithubActions: evidence.RunnerGitHub, AzureDevops: evidence.RunnerAzure,
}

// WithRunner says what the pipeline runs on, for the provenance of what it builds.
// Where a rule of slipway.yaml names runners, this counts only if the pipeline signs as
// an identity of that runner's job (with-identity), because whoever holds a key could
// claim it.
//
// Example: dagger call with-runner --kind GITHUB_ACTIONS --invocation https://github.com/acme/platform/actions/runs/1 deliver --app hello --env dev
//
// +cache="168h"
func (s *Slipway) WithRunner(
	// What it runs on.
	kind Runner,
	// The run's URL.
	// +optional
	invocation string,
) (*Slipway, error) {
	if _, ok := runners[kind]; !ok {
		return nil, step.Input("config", fmt.Sprintf("runner %q", kind), "is not known", "use LOCAL, GITHUB_ACTIONS or AZURE_DEVOPS")
	}
	next := *s
	next.Runner, next.Invocation = string(runners[kind]), invocation
	return &next, nil
}
