// Toy is what the engine's tests run: one function per ability of Dagger that
// the pipeline needs.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"dagger/toy/internal/dagger"
)

// Toy has no settings.
type Toy struct{}

// Hello greets.
func (*Toy) Hello(
	// Who is greeted.
	name string,
) string {
	return "hello " + name
}

// Length returns the length of a secret, in bytes.
func (*Toy) Length(ctx context.Context, secret *dagger.Secret) (int, error) {
	plain, err := secret.Plaintext(ctx)
	return len(plain), err
}

// Leak runs a program that prints a secret.
func (*Toy) Leak(ctx context.Context, program *dagger.File, secret *dagger.Secret) (string, error) {
	return dag.Container().WithFile("/web", program, dagger.ContainerWithFileOpts{Permissions: 0o755}).
		WithMountedSecret("/secret", secret).
		WithExec([]string{"/web", "cat", "/secret"}).Stdout(ctx)
}

// Fetch starts a web server as a service and reads from it in another
// container.
func (*Toy) Fetch(ctx context.Context, program *dagger.File) (string, error) {
	scratch := dag.Container().WithFile("/web", program, dagger.ContainerWithFileOpts{Permissions: 0o755})
	server := scratch.WithExposedPort(8080).AsService(dagger.ContainerAsServiceOpts{Args: []string{"/web", "serve", ":8080"}})
	return scratch.WithServiceBinding("server", server).
		WithExec([]string{"/web", "get", "http://server:8080/"}).Stdout(ctx)
}

// Go returns the commands of the Go toolchain that compiled this module.
func (*Toy) Go(ctx context.Context) (*dagger.Directory, error) {
	if err := os.CopyFS("go", os.DirFS("/usr/local/go/bin")); err != nil {
		return nil, fmt.Errorf("copy the toolchain: %w", err)
	}
	return dag.CurrentModule().Workdir("go"), nil
}

// Sound is a check that passes.
//
// +check
func (*Toy) Sound() error { return nil }

// Broken is a check that fails.
//
// +check
func (*Toy) Broken() error { return errors.New("this check always fails") }
