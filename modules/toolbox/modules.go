package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"dagger/toolbox/internal/dagger"
)

// Modules is a module cache with what the go.mod files of an app need, as its go.sum
// says it is. It reads go.mod, go.sum and go.work only, and runs nothing of the app;
// none of the pipeline's caches is mounted.
//
// Example: dagger -m modules/toolbox call modules --source apps/hello entries
//
// +cache="168h"
func (t *Toolbox) Modules(
	ctx context.Context,
	// The app's folder.
	source *dagger.Directory,
	// Module proxies to ask, in GOPROXY's notation, instead of this toolbox's.
	// +optional
	proxy string,
	// Patterns of modules that the public checksum database doesn't know, in
	// GOPRIVATE's notation; they are asked for at the proxies all the same.
	// +optional
	private string,
	// The credentials of private proxies, in .netrc's format.
	// +optional
	netrc *dagger.Secret,
) (*dagger.Directory, error) {
	scratch, err := t.Scratch()
	if err != nil {
		return nil, err
	}
	if proxy == "" {
		proxy = t.Proxy
	}
	files := source.Filter(dagger.DirectoryFilterOpts{
		Include: []string{"**/go.mod", "**/go.sum", "go.work", "go.work.sum"},
		Exclude: []string{"**/vendor/**", "**/testdata/**"},
	})
	fetch := scratch.
		WithMountedDirectory(goRoot, dag.Toolchain().Go()).
		WithEnvVariable("PATH", goRoot+"/bin").
		WithEnvVariable("HOME", "/tmp").
		WithEnvVariable("GOPATH", "/tmp/go").
		WithEnvVariable("GOMODCACHE", "/modules").
		WithEnvVariable("GOTOOLCHAIN", "local").
		WithEnvVariable("GOPROXY", proxy).
		WithEnvVariable("GONOSUMDB", private).
		WithDirectory("/modules", dag.Directory()).
		WithDirectory("/src", files).
		WithWorkdir("/src")
	if netrc != nil {
		fetch = fetch.WithMountedSecret("/run/netrc", netrc).WithEnvVariable("NETRC", "/run/netrc")
	}
	out, err := fetch.WithExec([]string{"go", "mod", "download", "-modcacherw"}).Directory("/modules").Sync(ctx)
	var failed *dagger.ExecError
	if errors.As(err, &failed) {
		return nil, errors.New(refusal(failed.Stderr))
	}
	return out, err
}

// refusal says what an error of go mod download means.
func refusal(said string) string {
	var lines []string
	for line := range strings.Lines(said) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "go: downloading ") {
			lines = append(lines, line)
		}
	}
	lines = lines[max(0, len(lines)-20):]
	text := strings.Join(lines, "\n")
	kind, mend := "infrastructure failure", "see that a module proxy answers, then try again"
	for _, known := range []struct{ text, kind, mend string }{
		{"checksum mismatch", "refused by policy", "find out who changed the module: what the proxy serves is not what go.sum pins"},
		{"missing go.sum entry", "bad input", "run go mod tidy in the app's folder, and commit go.sum"},
		{"go.mod file not found", "bad input", "commit a go.mod in the app's folder"},
		{"errors parsing go.mod", "bad input", "mend go.mod as the lines say"},
		{"requires go >=", "bad input", "lower the go line of go.mod, or the platform has to take a newer toolchain"},
		{"not found", "bad input", "see that the version is published; a private module needs with-modules"},
		{"401 Unauthorized", "bad input", "give the proxy's credentials by with-modules --netrc"},
		{"403 Forbidden", "bad input", "give the proxy's credentials by with-modules --netrc"},
	} {
		if strings.Contains(text, known.text) {
			kind, mend = known.kind, known.mend
			break
		}
	}
	return fmt.Sprintf("build: %s: the app's modules: can't be fetched\n  - %s\n  mend: %s", kind, strings.Join(lines, "\n  - "), mend)
}
