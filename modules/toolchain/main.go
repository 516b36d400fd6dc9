// The pinned Go toolchain, as a folder.
//
// Example: dagger -m modules/toolchain call go file --path VERSION contents
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"dagger/toolchain/internal/dagger"
)

// Toolchain fetches the pinned Go toolchain.
type Toolchain struct{}

// download is what go mod download says of a module.
type download struct{ Dir, Sum, Error string }

// Go is the pinned Go toolchain, from the module golang.org/toolchain:
// the form in which the go command itself fetches toolchains. Its checksum is
// compared with the pinned one.
//
// +cache="168h"
func (*Toolchain) Go(ctx context.Context) (*dagger.Directory, error) {
	cmd := exec.CommandContext(ctx, "go", "mod", "download", "-json", toolchainModule+"@"+toolchainVersion)
	cmd.Dir = os.TempDir()
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	var module download
	if decodeErr := json.Unmarshal(out, &module); decodeErr != nil {
		return nil, fmt.Errorf("download %s@%s: %w (%v)", toolchainModule, toolchainVersion, decodeErr, err)
	}
	if module.Error != "" {
		return nil, fmt.Errorf("download %s@%s: %s", toolchainModule, toolchainVersion, module.Error)
	}
	if module.Sum != toolchainSum {
		return nil, fmt.Errorf("%s@%s has checksum %s, want %s", toolchainModule, toolchainVersion, module.Sum, toolchainSum)
	}
	const work = "toolchain"
	for _, part := range []string{"VERSION", "bin", "go.env", "lib", "pkg", "src"} {
		if err := copyTree(filepath.Join(module.Dir, part), filepath.Join(work, part)); err != nil {
			return nil, fmt.Errorf("copy toolchain: %w", err)
		}
	}
	return dag.CurrentModule().Workdir(work), nil
}

// Version names the pinned Go toolchain: the module, its version and checksum.
//
// Example: dagger -m modules/toolchain call version
//
// +cache="168h"
func (*Toolchain) Version() string {
	return toolchainModule + "@" + toolchainVersion + " " + toolchainSum
}

// copyTree copies files with fixed modes: a module holds no executable bits, so
// the go command sets them on bin and pkg/tool, and so does this.
func copyTree(from, to string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, rel)
		if d.IsDir() {
			return os.MkdirAll(target, 0o755)
		}
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		mode := os.FileMode(0o644)
		if slashed := filepath.ToSlash(target); strings.Contains(slashed, "/bin/") || strings.Contains(slashed, "/pkg/tool/") {
			mode = 0o755
		}
		return os.WriteFile(target, data, mode)
	})
}
