// Terraform: plans, their check, the apply of exactly the checked plan, and the
// drift since.
package main

import (
	"context"
	"crypto/rand"
	"path"

	"dagger/infra/internal/dagger"
)

// Infra drives the executable that it is given, Terraform's or OpenTofu's, or else
// the OpenTofu that it compiles.
type Infra struct {
	// +private
	Prebuilt *dagger.Directory
}

// New takes the module's programs, or leaves them to be compiled.
//
// +cache="168h"
func New(
	// What Programs returned for these very sources; any other programs are refused.
	// +optional
	prebuilt *dagger.Directory,
) *Infra {
	if prebuilt != nil {
		prebuilt = dag.Toolbox().Unseal("infra", dag.CurrentModule().Source(), prebuilt)
	}
	return &Infra{Prebuilt: prebuilt}
}

// The programs of the module.
const (
	stepProgram = "step"
	tofuProgram = "tofu"
)

// The import path of OpenTofu, and the variable that says that it is the release in
// tofu/go.mod and not on the way to it.
const (
	tofuTool    = "github.com/opentofu/opentofu/cmd/tofu"
	tofuRelease = "github.com/opentofu/opentofu/version.dev=no"
)

// program is one of them: the one that was given, or else compiled.
func (i *Infra) program(name string) *dagger.File {
	if i.Prebuilt != nil {
		return i.Prebuilt.File(name)
	}
	source := dag.CurrentModule().Source().Directory(name)
	if name == tofuProgram {
		return dag.Toolbox().Binary(source, tofuTool, dagger.ToolboxBinaryOpts{Define: tofuRelease})
	}
	return dag.Toolbox().Step("modules/infra/step", source)
}

// Tofu is OpenTofu, compiled from checksummed source: what plans and applies where no
// executable is given.
//
// Example: dagger -m modules/infra call tofu export --path ./tofu
//
// +cache="168h"
func (i *Infra) Tofu() *dagger.File { return i.program(tofuProgram) }

// Programs is everything that this module compiles, sealed with the key of its
// sources, for New.
//
// +cache="168h"
func (i *Infra) Programs() *dagger.Directory {
	all := dag.Directory()
	for _, name := range []string{stepProgram, tofuProgram} {
		all = all.WithFile(name, i.program(name))
	}
	return dag.Toolbox().Seal(dag.CurrentModule().Source(), all)
}

// Root is Terraform code for one environment, and the state that belongs to
// it.
type Root struct {
	// +private
	Folder string
	// +private
	Azure *Azure
	// +private
	Program *dagger.File
	// +private
	Code *dagger.Directory
	// +private
	Env string
	// +private
	State string
	// +private
	Executable *dagger.File
	// +private
	Providers *dagger.Directory
	// +private
	Password *dagger.Secret
	// +private
	Service *dagger.Service
	// +private
	Connect string
	// +private
	Kubeconfig *dagger.Secret
	// +private
	Kubernetes *dagger.Service
	// +private
	KubernetesConnect string
	// +private
	Variables *dagger.Secret
	// +private
	Allowed string
	// +private
	LockTimeout string
}

// Root names the code, the environment and its state. It looks at none of them.
//
// +cache="168h"
func (i *Infra) Root(
	// The Terraform code: the root, and the modules that it takes from beside it.
	code *dagger.Directory,
	// The environment: it names the variables file.
	env string,
	// Where the state is, as a JSON object with the settings of Terraform's
	// backend: type (http when it is left out, kubernetes or azurerm) and, for
	// http, address; for kubernetes, namespace and secret_suffix; for azurerm,
	// resource_group_name, storage_account_name, container_name and key.
	state string,
	// The executable of Terraform or OpenTofu, for linux/amd64; by default the OpenTofu
	// that Tofu compiles.
	// +optional
	terraform *dagger.File,
	// A mirror of the providers that the code's lock file names, as terraform
	// providers mirror makes it. With one, nothing is asked of a registry.
	// +optional
	providers *dagger.Directory,
	// The root's folder in the code.
	// +default="."
	folder string,
) *Root {
	if terraform == nil {
		terraform = i.Tofu()
	}
	return &Root{Program: i.program(stepProgram), Code: code, Folder: folder, Env: env, State: state, Executable: terraform, Providers: providers}
}

// Files are what a plan is made of, and bound to: the root and the modules that it
// reaches, as they lie in the code. A module from elsewhere is refused.
//
// +cache="168h"
func (r *Root) Files() *dagger.Directory {
	return dag.Toolbox().Runner(r.Program).
		WithMountedDirectory("/code", r.Code).
		WithExec([]string{"/step", "code", "--out", "/out", "--code", "/code", "--root", r.Folder}).
		Directory("/out")
}

// WithState says how the state backend is reached.
//
// +cache="168h"
func (r *Root) WithState(
	// The http backend's password, or the ARM_…=value lines of azurerm.
	// +optional
	password *dagger.Secret,
	// The service that answers for an http backend.
	// +optional
	service *dagger.Service,
	// Where the backend's address is reached: LOGICAL=ACTUAL.
	// +optional
	connect string,
) *Root {
	next := *r
	next.Password, next.Service, next.Connect = password, service, connect
	return &next
}

// WithAllowed says what the code may use of what runs before its plan is checked, with
// the credentials of state and providers. Without it that is nothing but Terraform's own
// provider. A data source that reads another state is always refused.
//
// +cache="168h"
func (r *Root) WithAllowed(
	// A JSON object: providers, an object of full addresses, each with the arguments that
	// a provider block may set; data, the types of data sources and ephemeral resources;
	// provisioners, their types.
	rules string,
) *Root {
	next := *r
	next.Allowed = rules
	return &next
}

// WithCluster gives a cluster to the kubernetes backend and to the providers.
// The check does not see it.
//
// +cache="168h"
func (r *Root) WithCluster(
	// A kubeconfig that holds its certificates and credentials itself.
	kubeconfig *dagger.Secret,
	// The service that answers for the cluster's API.
	// +optional
	service *dagger.Service,
	// Where the API's address is reached: LOGICAL=ACTUAL.
	// +optional
	connect string,
) *Root {
	next := *r
	next.Kubeconfig, next.Kubernetes, next.KubernetesConnect = kubeconfig, service, connect
	return &next
}

// Azure is who the azurerm provider and backend are, who reaches a cluster of AKS, and
// where Azure is.
type Azure struct {
	// +private
	Identity string
	// +private
	Token *dagger.Secret
	// +private
	Proxy *dagger.Service
}

// WithAzure says as whom the azurerm provider and backend sign in, and where Azure is.
// Where a kubeconfig takes its credentials from kubelogin, the identity reaches the
// cluster. The check does not see it.
//
// +cache="168h"
func (r *Root) WithAzure(
	// A JSON object: clientId, tenantId and subscriptionId; requestUrl, where a CI
	// job asks for its tokens, and Azure DevOps' serviceConnection; metadataHost and
	// authorities, in PEM, of another cloud, and the proxy's URL that it is reached
	// through.
	identity string,
	// The job's request token, or without a request URL the token itself, or what az
	// account get-access-token prints.
	token *dagger.Secret,
	// The service that answers for the proxy, at the name azure.
	// +optional
	proxy *dagger.Service,
) *Root {
	next := *r
	next.Azure = &Azure{Identity: identity, Token: token, Proxy: proxy}
	return &next
}

// reach adds what a command finds Azure with.
func (a *Azure) reach(base *dagger.Container, args []string) (*dagger.Container, []string) {
	if a == nil {
		return base, args
	}
	base = base.WithMountedSecret("/secrets/azure-token", a.Token)
	args = append(args, "--azure", a.Identity, "--azure-token-file", "/secrets/azure-token")
	if a.Proxy != nil {
		base = base.WithServiceBinding("azure", a.Proxy)
	}
	return base, args
}

// WithVariables gives values to variables that the code declares ephemeral: no plan,
// state or log holds them. Plan, apply and drift need the same ones; variables that are
// not ephemeral are refused. It needs Terraform 1.10 or later.
//
// +cache="168h"
func (r *Root) WithVariables(
	// A JSON object of names and values, such as {"token": "…"}.
	variables *dagger.Secret,
) *Root {
	next := *r
	next.Variables = variables
	return &next
}

// WithLockTimeout says how long to wait for a state that another run has locked,
// instead of 30 seconds.
//
// +cache="168h"
func (r *Root) WithLockTimeout(
	// A duration, such as 10m.
	duration string,
) *Root {
	next := *r
	next.LockTimeout = duration
	return &next
}

// secret gives a command the ephemeral variables.
func (r *Root) secret(base *dagger.Container, args []string) (*dagger.Container, []string) {
	if r.Variables == nil {
		return base, args
	}
	const file = "/secrets/variables"
	return base.WithMountedSecret(file, r.Variables), append(args, "--secret-var-file", file)
}

// Where the step program finds what it is given.
const (
	terraformPath = "/bin/terraform"
	providersPath = "/providers"
	planFile      = "/plan/plan.tfplan"
	bindingFile   = "/plan/binding.json"
	checkedFile   = "/checked/checked.json"
)

// runner is the container of the step program, with what every command needs,
// and the command's first arguments.
func (r *Root) runner(command string, args ...string) (*dagger.Container, []string) {
	base := dag.Toolbox().Runner(r.Program).
		WithMountedDirectory("/code", r.Code).
		WithMountedFile(terraformPath, r.Executable)
	all := []string{"/step", command, "--out", "/out", "--terraform", terraformPath, "--code", "/code", "--root", r.Folder, "--env", r.Env}
	if r.Allowed != "" {
		all = append(all, "--allowed", r.Allowed)
	}
	if r.Providers != nil {
		base = base.WithMountedDirectory(providersPath, r.Providers)
		all = append(all, "--providers", providersPath)
	}
	return base, append(all, args...)
}

// remote runs a command against the state now: its run id is new each time, so
// that no earlier run's result stands in for this one.
func (r *Root) remote(base *dagger.Container, args []string) *dagger.Container {
	base = base.WithNewFile("/backend.json", r.State)
	args = append(args, "--backend-config-file", "/backend.json")
	if r.LockTimeout != "" {
		args = append(args, "--lock-timeout", r.LockTimeout)
	}
	if r.Service != nil {
		base = base.WithServiceBinding("state", r.Service)
		args = append(args, "--connect", r.Connect)
	}
	if r.Password != nil {
		base = base.WithMountedSecret("/secrets/state-password", r.Password)
		args = append(args, "--backend-password-file", "/secrets/state-password")
	}
	if r.Kubeconfig != nil {
		base = base.WithMountedSecret("/secrets/kubeconfig", r.Kubeconfig)
		args = append(args, "--kubeconfig", "/secrets/kubeconfig")
	}
	if r.Kubernetes != nil {
		base = base.WithServiceBinding("kubernetes", r.Kubernetes)
		args = append(args, "--connect", r.KubernetesConnect)
	}
	return run(r.Azure.reach(base, args))
}

func run(base *dagger.Container, args []string) *dagger.Container {
	return base.WithEnvVariable("SLIPWAY_RUN", rand.Text()).WithExec(args)
}

func (r *Root) varFile() string {
	return path.Join("/code", r.Folder, "environments", r.Env+".tfvars.json")
}

// Plan saves what would change, of code that uses nothing that isn't allowed: that is
// refused before anything runs. The result's folder holds result.json, the
// plan file and what binds it to its code, environment and state.
//
// +cache="never"
func (r *Root) Plan() *dagger.Directory {
	return r.remote(r.secret(r.runner("plan", "--var-file", r.varFile()))).Directory("/out")
}

// Check refuses a plan that does not belong to the code and environment, that destroys
// without permission, or whose code has misconfigurations at or above a severity. The
// result's folder holds result.json and checked.json.
//
// +cache="never"
func (r *Root) Check(
	// What Plan returned.
	plan *dagger.Directory,
	// The policy's verdict on the code, as JSON: codeSha256 as Files says it,
	// policyDigest and threshold.
	verdict string,
	// Let the plan destroy and replace resources.
	// +optional
	allowDestroy bool,
) *dagger.Directory {
	base, args := r.runner("check", "--plan", planFile, "--binding", bindingFile, "--verdict", "/verdict.json")
	if allowDestroy {
		args = append(args, "--allow-destroy")
	}
	base = base.WithMountedDirectory("/plan", plan).WithNewFile("/verdict.json", verdict)
	return run(base, args).Directory("/out")
}

// Apply applies exactly the checked plan file and returns the step's result.
//
// +cache="never"
func (r *Root) Apply(
	ctx context.Context,
	// What Plan returned.
	plan *dagger.Directory,
	// What Check returned.
	checked *dagger.Directory,
) (string, error) {
	base, args := r.runner("apply", "--plan", planFile, "--binding", bindingFile, "--checked", checkedFile)
	base = base.WithMountedDirectory("/plan", plan).WithMountedDirectory("/checked", checked)
	return r.remote(r.secret(base, args)).File("/out/result.json").Contents(ctx)
}

// Drift returns the step's result: what was changed outside of Terraform since the last
// apply, and what the code says but was not applied. It changes nothing.
//
// +cache="never"
func (r *Root) Drift(ctx context.Context) (string, error) {
	return r.remote(r.secret(r.runner("drift", "--var-file", r.varFile()))).File("/out/result.json").Contents(ctx)
}

// Unlock releases the lock that a killed run left on the state, and returns the step's
// result.
//
// +cache="never"
func (r *Root) Unlock(
	ctx context.Context,
	// The lock's ID, as the refusal named it.
	id string,
) (string, error) {
	return r.remote(r.runner("unlock", "--id", id)).File("/out/result.json").Contents(ctx)
}
