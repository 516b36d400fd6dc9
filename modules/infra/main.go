// Terraform: plans, their check, and the apply of exactly the checked plan.
package main

import (
	"context"
	"crypto/rand"
	"encoding/json"

	"dagger/terraform/internal/dagger"
)

// Terraform drives the terraform executable that it is given.
type Terraform struct{}

func runner() *dagger.Container {
	return dag.Toolbox().Runner("modules/infra/step", dag.CurrentModule().Source().Directory("step"))
}

// Where the step program finds what it is given.
const (
	terraformPath = "/bin/terraform"
	planFile      = "/plan/plan.tfplan"
	bindingFile   = "/plan/binding.json"
	checkedFile   = "/checked/checked.json"
)

func terraformRunner(code *dagger.Directory, terraform *dagger.File) *dagger.Container {
	return runner().
		WithMountedDirectory("/code", code).
		WithMountedFile(terraformPath, terraform)
}

// Plan saves what would change. The result's folder holds result.json, the
// plan file and what binds it to its code, environment and state.
//
// +cache="never"
func (*Terraform) Plan(
	// The Terraform code.
	code *dagger.Directory,
	// The environment: it names the variables file.
	env string,
	// The address of the environment's state.
	state string,
	// The terraform executable, for linux/amd64.
	terraform *dagger.File,
	// Who reads and writes the state.
	// +optional
	username string,
	// The state backend's password.
	// +optional
	password *dagger.Secret,
	// The service that answers for the state backend.
	// +optional
	service *dagger.Service,
	// Where the state backend's address is reached: LOGICAL=ACTUAL.
	// +optional
	connect string,
) *dagger.Directory {
	return backend(terraformRunner(code, terraform), state, username, password, service, connect,
		"/step", "plan", "--out", "/out", "--terraform", terraformPath, "--code", "/code", "--env", env,
		"--var-file", "/code/environments/"+env+".tfvars.json").
		Directory("/out")
}

// Check refuses a plan that does not belong to the code and environment, that
// destroys without leave, or whose code has misconfigurations at or above a
// severity. The result's folder holds result.json and checked.json.
//
// +cache="never"
func (*Terraform) Check(
	// What Plan returned.
	plan *dagger.Directory,
	// The Terraform code.
	code *dagger.Directory,
	// The environment.
	env string,
	// The terraform executable, for linux/amd64.
	terraform *dagger.File,
	// The misconfigurations of the code, as a JSON list in the scan module's form.
	misconfigurations string,
	// The lowest severity that refuses.
	severity string,
	// Let the plan destroy and replace resources.
	// +optional
	allowDestroy bool,
) *dagger.Directory {
	args := []string{"/step", "check", "--out", "/out", "--terraform", terraformPath, "--code", "/code", "--env", env,
		"--plan", planFile, "--binding", bindingFile, "--misconfig", "/misconfigurations.json", "--severity", severity}
	if allowDestroy {
		args = append(args, "--allow-destroy")
	}
	return terraformRunner(code, terraform).
		WithMountedDirectory("/plan", plan).
		WithNewFile("/misconfigurations.json", misconfigurations).
		WithEnvVariable("SLIPWAY_RUN", rand.Text()).
		WithExec(args).
		Directory("/out")
}

// Apply applies exactly the checked plan file and returns the step's result.
//
// +cache="never"
func (*Terraform) Apply(
	ctx context.Context,
	// What Plan returned.
	plan *dagger.Directory,
	// What Check returned.
	checked *dagger.Directory,
	// The Terraform code.
	code *dagger.Directory,
	// The environment.
	env string,
	// The address of the environment's state.
	state string,
	// The terraform executable, for linux/amd64.
	terraform *dagger.File,
	// Who reads and writes the state.
	// +optional
	username string,
	// The state backend's password.
	// +optional
	password *dagger.Secret,
	// The service that answers for the state backend.
	// +optional
	service *dagger.Service,
	// Where the state backend's address is reached: LOGICAL=ACTUAL.
	// +optional
	connect string,
) (string, error) {
	base := terraformRunner(code, terraform).
		WithMountedDirectory("/plan", plan).
		WithMountedDirectory("/checked", checked)
	return backend(base, state, username, password, service, connect,
		"/step", "apply", "--out", "/out", "--terraform", terraformPath, "--code", "/code", "--env", env,
		"--plan", planFile, "--binding", bindingFile, "--checked", checkedFile).
		File("/out/result.json").Contents(ctx)
}

// backend runs a command against the state now: its run id is new each time,
// so that no earlier run's result stands in for this one.
func backend(base *dagger.Container, state, username string, password *dagger.Secret, service *dagger.Service, connect string, args ...string) *dagger.Container {
	config := map[string]string{"address": state, "lock_address": state, "unlock_address": state, "lock_method": "LOCK", "unlock_method": "UNLOCK"}
	if username != "" {
		config["username"] = username
	}
	data, err := json.Marshal(config)
	if err != nil {
		panic(err) // a map of strings always encodes
	}
	base = base.WithNewFile("/backend.json", string(data))
	args = append(args, "--backend-config-file", "/backend.json")
	if service != nil {
		base = base.WithServiceBinding("state", service)
		args = append(args, "--connect", connect)
	}
	if password != nil {
		base = base.WithMountedSecret("/secrets/state-password", password)
		args = append(args, "--backend-password-file", "/secrets/state-password")
	}
	return base.WithEnvVariable("SLIPWAY_RUN", rand.Text()).WithExec(args)
}
