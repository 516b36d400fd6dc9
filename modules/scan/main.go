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
	// +private
	Account Account
}

// Account is who somebody is at the vulnerability database's registry.
type Account struct {
	Username string
	Password *dagger.Secret
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

// WithAccount says who reads and pushes at the registry of the vulnerability database, by
// everything that is called on it.
//
// Example: dagger -m modules/scan call with-account --username bot --password env:TOKEN database-digest --repository ghcr.io/acme/trivy-db --tag 2
//
// +cache="168h"
func (s *Scan) WithAccount(
	// Who reads and pushes; nobody by default.
	// +optional
	username string,
	// The registry's password, or the request token of an Azure identity, which username
	// then is as JSON.
	// +optional
	password *dagger.Secret,
) *Scan {
	return &Scan{Prebuilt: s.Prebuilt, Account: Account{Username: username, Password: password}}
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
	// The service that answers for the registry.
	// +optional
	service *dagger.Service,
	// Where the registry's address is reached: LOGICAL=ACTUAL.
	// +optional
	connect string,
) (string, error) {
	return s.now(s.runner(), service, connect, "/step", "database-resolve", "--out", "/out", "--repository", repository, "--tag", tag).
		File("/out/result.json").Contents(ctx)
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
	// The service that answers for the registry.
	// +optional
	service *dagger.Service,
	// Where the registry's address is reached: LOGICAL=ACTUAL.
	// +optional
	connect string,
) (*dagger.Directory, error) {
	base, args := s.Account.reach(s.runner().WithMountedFile("/trivy", s.Trivy()), service, connect,
		"/step", "database", "--out", "/out", "--trivy", "/trivy", "--repository", repository, "--digest", digest)
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

// Image is an image that is scanned.
type Image struct {
	// +private
	Scan *Scan
	// +private
	Layout *dagger.Directory
	// +private
	Args []string
}

// Image takes an image to scan.
//
// +cache="168h"
func (s *Scan) Image(
	// The OCI layout.
	layout *dagger.Directory,
	// The digest that the layout must have.
	digest string,
	// A package type that the image must hold, such as gobinary.
	// +optional
	expect string,
) *Image {
	args := []string{"--layout", "/layout", "--digest", digest}
	if expect != "" {
		args = append(args, "--expect", expect)
	}
	return &Image{Scan: s, Layout: layout, Args: args}
}

// Report scans the image's packages and executables on every platform, an app's
// source for secrets, and Terraform code for misconfigurations. It has no network. The result's folder holds result.json, findings.json, report.txt,
// report.sarif, and in sbom the bills of materials: image-OS-ARCHITECTURE.cdx.json and
// .spdx.json of each platform, source.cdx.json and source.spdx.json.
//
// +cache="168h"
func (i *Image) Report(
	// The app's folder.
	source *dagger.Directory,
	// The folder's path in the repository, for the report.
	sourceName string,
	// The Terraform code.
	infra *dagger.Directory,
	// What Database returned.
	database *dagger.Directory,
	// The Git tree id of the app's folder, for its bill of materials.
	// +optional
	revision string,
) *dagger.Directory {
	args := append([]string{
		"/step", "report", "--out", "/out", "--trivy", "/trivy",
		"--source", "/source", "--source-name", sourceName, "--manifests", "infra=/infra", "--cache", "/database/cache",
	}, i.Args...)
	if revision != "" {
		args = append(args, "--source-revision", revision)
	}
	return i.Scan.runner().
		WithMountedFile("/trivy", i.Scan.Trivy()).
		WithMountedDirectory("/layout", i.Layout).
		WithMountedDirectory("/source", source).
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

// Rendered scans what an overlay was rendered to for misconfigurations and secrets.
// Each finding is in a file of its object below name, KIND-NAME.yaml. The result's
// folder holds result.json and findings.json.
//
// +cache="168h"
func (s *Scan) Rendered(
	// The rendered manifests.
	manifests *dagger.File,
	// The overlay's folder in the repository.
	name string,
) *dagger.Directory {
	return s.runner().
		WithMountedFile("/trivy", s.Trivy()).
		WithMountedFile("/manifests.yaml", manifests).
		WithExec([]string{"/step", "config", "--out", "/out", "--trivy", "/trivy", "--rendered", name + "=/manifests.yaml"}).
		Directory("/out")
}

// PublishDatabase builds the vulnerability database of the advisories that
// this module carries and pushes it, for platforms without the official one. It signs
// nothing. It returns the step's result.
//
// +cache="never"
func (s *Scan) PublishDatabase(
	ctx context.Context,
	// The repository to push to, without a tag.
	repository string,
	// When the advisories were taken, RFC 3339.
	updatedAt string,
	// When newer ones are due, RFC 3339.
	nextUpdate string,
	// The schema version. Without it no tag is moved.
	// +optional
	tag string,
	// The service that answers for the registry.
	// +optional
	service *dagger.Service,
	// Where the registry's address is reached: LOGICAL=ACTUAL.
	// +optional
	connect string,
) (string, error) {
	base := dag.Toolbox().Runner(s.program(databaseProgram)).
		WithMountedDirectory("/advisories", dag.CurrentModule().Source().Directory("db/advisories")).
		WithExec([]string{"/step", "build", "--out", "/database", "--advisories", "/advisories", "--updated-at", updatedAt, "--next-update", nextUpdate})
	return s.now(base, service, connect, "/step", "push", "--out", "/out", "--layout", "/database/layout", "--repository", repository, "--tag", tag).
		File("/out/result.json").Contents(ctx)
}

// reach adds to a command what it needs to reach the registry.
func (a Account) reach(base *dagger.Container, service *dagger.Service, connect string, args ...string) (*dagger.Container, []string) {
	if service != nil {
		base = base.WithServiceBinding("registry", service)
	}
	if connect != "" {
		args = append(args, "--connect", connect)
	}
	if a.Password != nil {
		base = base.WithMountedSecret("/secrets/registry-password", a.Password)
		args = append(args, "--username", a.Username, "--registry-password-file", "/secrets/registry-password")
	}
	return base, args
}

// now runs a command against the registry now: its run id is new each time, so that no
// earlier run's result stands in for this one.
func (s *Scan) now(base *dagger.Container, service *dagger.Service, connect string, args ...string) *dagger.Container {
	base, args = s.Account.reach(base, service, connect, args...)
	return base.WithEnvVariable("SLIPWAY_RUN", rand.Text()).WithExec(args)
}
