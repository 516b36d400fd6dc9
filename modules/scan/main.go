// Trivy: compiled from source, run without a network, with a database that
// comes through Trivy's own download.
package main

import (
	"context"
	"crypto/rand"

	"dagger/scan/internal/dagger"
)

// Scan finds; it does not decide.
type Scan struct {
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
) *Scan {
	if prebuilt != nil {
		prebuilt = dag.Toolbox().Unseal("scan", dag.CurrentModule().Source(), prebuilt)
	}
	return &Scan{Prebuilt: prebuilt}
}

// The module's programs: Trivy, the step program, and what builds the embedded
// vulnerability database.
const (
	trivyProgram    = "trivy"
	stepProgram     = "step"
	databaseProgram = "db"
)

// Trivy's main package and what it calls itself; the version that is compiled
// is the one in trivy/go.mod.
const (
	trivyTool    = "github.com/aquasecurity/trivy/cmd/trivy"
	trivyVersion = "github.com/aquasecurity/trivy/pkg/version/app.ver=0.74.0"
)

// program is one of the module's programs: the one it was given, or else
// compiled.
func (s *Scan) program(name string) *dagger.File {
	if s.Prebuilt != nil {
		return s.Prebuilt.File(name)
	}
	source := dag.CurrentModule().Source().Directory(name)
	if name == trivyProgram {
		return dag.Toolbox().Binary(source, trivyTool, dagger.ToolboxBinaryOpts{Experiment: "jsonv2", Define: trivyVersion})
	}
	return dag.Toolbox().Step("modules/scan/"+name, source)
}

// Programs is everything that this module compiles, sealed with the key of its
// sources, for New.
//
// +cache="168h"
func (s *Scan) Programs() *dagger.Directory {
	programs := dag.Directory()
	for _, name := range []string{trivyProgram, stepProgram, databaseProgram} {
		programs = programs.WithFile(name, s.program(name))
	}
	return dag.Toolbox().Seal(dag.CurrentModule().Source(), programs)
}

// Trivy is the scanner's static binary for linux/amd64, compiled once.
//
// Example: dagger -m modules/scan call trivy export --path ./trivy
//
// +cache="168h"
func (s *Scan) Trivy() *dagger.File { return s.program(trivyProgram) }

func (s *Scan) runner() *dagger.Container { return dag.Toolbox().Runner(s.program(stepProgram)) }

// DatabaseDigest asks the registry which vulnerability database a tag names
// now, and returns the step's result.
//
// +cache="never"
func (s *Scan) DatabaseDigest(
	ctx context.Context,
	// The database's repository, without a tag.
	repository string,
	// The schema version.
	tag string,
	// Who reads; nobody by default.
	// +optional
	username string,
	// The registry's password, or the request token of an Azure identity, which username
	// then is as JSON.
	// +optional
	password *dagger.Secret,
	// The service that answers for the registry.
	// +optional
	service *dagger.Service,
	// Where the registry's address is reached: LOGICAL=ACTUAL.
	// +optional
	address string,
) (string, error) {
	base, args := signIn(s.runner(), username, password,
		"/step", "database-resolve", "--out", "/out", "--repository", repository, "--tag", tag)
	return connect(base, service, address, args...).File("/out/result.json").Contents(ctx)
}

// Database has Trivy itself download the vulnerability database that has this digest.
// The result's folder holds result.json and Trivy's cache folder.
//
// +cache="168h"
func (s *Scan) Database(
	ctx context.Context,
	// The database's repository, without a tag.
	repository string,
	// The artifact's digest.
	digest string,
	// Who reads; nobody by default.
	// +optional
	username string,
	// The registry's password, or the request token of an Azure identity.
	// +optional
	password *dagger.Secret,
	// The service that answers for the registry.
	// +optional
	service *dagger.Service,
	// Where the registry's address is reached: LOGICAL=ACTUAL.
	// +optional
	address string,
) (*dagger.Directory, error) {
	base, args := signIn(s.runner().WithMountedFile("/trivy", s.Trivy()), username, password,
		"/step", "database", "--out", "/out", "--trivy", "/trivy", "--repository", repository, "--digest", digest)
	base, args = reach(base, service, address, args...)
	// The digest says what comes, so an earlier download may stand in.
	out := base.WithExec(args).Directory("/out")
	if service == nil {
		return out, nil
	}
	// A service is another one in each session, and so is what is read through
	// it. As plain files the database is known by its content again.
	const files = "database"
	if _, err := out.Export(ctx, files); err != nil {
		return nil, err
	}
	return dag.CurrentModule().Workdir(files), nil
}

// Report scans an image's packages and executables on every platform, an app's
// source for secrets, and manifests and Terraform code for misconfigurations. It has no
// network. The result's folder holds result.json, findings.json, report.txt,
// report.sarif, and in sbom the bills of materials: image-OS-ARCHITECTURE.cdx.json and
// .spdx.json of each platform, source.cdx.json and source.spdx.json.
//
// +cache="168h"
func (s *Scan) Report(
	// The OCI layout.
	layout *dagger.Directory,
	// The digest that the layout must have.
	digest string,
	// The app's folder.
	source *dagger.Directory,
	// The folder's path in the repository, for the report.
	sourceName string,
	// The app's manifests.
	manifests *dagger.Directory,
	// The Terraform code.
	infra *dagger.Directory,
	// What Database returned.
	database *dagger.Directory,
	// A package type that the image must hold, such as gobinary.
	// +optional
	expect string,
	// The Git tree id of the app's folder, for its bill of materials.
	// +optional
	revision string,
) *dagger.Directory {
	args := []string{
		"/step", "report", "--out", "/out", "--trivy", "/trivy", "--layout", "/layout", "--digest", digest,
		"--source", "/source", "--source-name", sourceName, "--manifests", "gitops/apps=/manifests", "--manifests", "infra=/infra", "--cache", "/database/cache",
	}
	if expect != "" {
		args = append(args, "--expect", expect)
	}
	if revision != "" {
		args = append(args, "--source-revision", revision)
	}
	return s.runner().
		WithMountedFile("/trivy", s.Trivy()).
		WithMountedDirectory("/layout", layout).
		WithMountedDirectory("/source", source).
		WithMountedDirectory("/manifests", manifests).
		WithMountedDirectory("/infra", infra).
		WithMountedDirectory("/database", database).
		WithExec(args).
		Directory("/out")
}

// Config scans one folder of manifests or Terraform code for misconfigurations
// and secrets. The result's folder holds result.json and findings.json.
//
// +cache="168h"
func (s *Scan) Config(
	// The folder.
	source *dagger.Directory,
	// Its path in the repository.
	name string,
) *dagger.Directory {
	return s.runner().
		WithMountedFile("/trivy", s.Trivy()).
		WithMountedDirectory("/source", source).
		WithExec([]string{"/step", "config", "--out", "/out", "--trivy", "/trivy", "--manifests", name + "=/source"}).
		Directory("/out")
}

// PublishDatabase builds the vulnerability database of the advisories that
// this module carries and pushes it, for platforms without the official one.
// It returns the step's result.
//
// +cache="never"
func (s *Scan) PublishDatabase(
	ctx context.Context,
	// The repository to push to, without a tag.
	repository string,
	// The schema version.
	tag string,
	// When the advisories were taken, RFC 3339.
	updatedAt string,
	// When newer ones are due, RFC 3339.
	nextUpdate string,
	// Who pushes.
	// +optional
	username string,
	// The registry's password.
	// +optional
	password *dagger.Secret,
	// The service that answers for the registry.
	// +optional
	service *dagger.Service,
	// Where the registry's address is reached: LOGICAL=ACTUAL.
	// +optional
	address string,
) (string, error) {
	base := dag.Toolbox().Runner(s.program(databaseProgram)).
		WithMountedDirectory("/advisories", dag.CurrentModule().Source().Directory("db/advisories")).
		WithExec([]string{"/step", "build", "--out", "/database", "--advisories", "/advisories", "--updated-at", updatedAt, "--next-update", nextUpdate})
	args := []string{"/step", "push", "--out", "/out", "--layout", "/database/layout", "--repository", repository, "--tag", tag}
	base, args = signIn(base, username, password, args...)
	return connect(base, service, address, args...).File("/out/result.json").Contents(ctx)
}

// reach adds to a command what it needs to reach an address that a service
// answers for.
func reach(base *dagger.Container, service *dagger.Service, address string, args ...string) (*dagger.Container, []string) {
	if service != nil {
		base = base.WithServiceBinding("registry", service)
	}
	if address != "" {
		args = append(args, "--connect", address)
	}
	return base, args
}

// signIn adds to a command who it is at the registry.
func signIn(base *dagger.Container, username string, password *dagger.Secret, args ...string) (*dagger.Container, []string) {
	if password == nil {
		return base, args
	}
	return base.WithMountedSecret("/secrets/registry-password", password), append(args, "--username", username, "--registry-password-file", "/secrets/registry-password")
}

// connect runs a command now: its run id is new each time, so that no earlier
// run's result stands in for this one.
func connect(base *dagger.Container, service *dagger.Service, address string, args ...string) *dagger.Container {
	base, args = reach(base, service, address, args...)
	return base.WithEnvVariable("SLIPWAY_RUN", rand.Text()).WithExec(args)
}
