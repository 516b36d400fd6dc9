package engine

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// EnvFile returns the lines of .slipway/env: a file to source that puts the
// folder cli on PATH and, unless it is empty, points the CLI at runnerHost.
// It also turns off Dagger's advertisements and analytics.
func EnvFile(cli, runnerHost string) string {
	var b strings.Builder
	b.WriteString("# Made by the engine's launcher; source it: . .slipway/env\n")
	fmt.Fprintf(&b, "case \":$PATH:\" in *:%s:*) ;; *) export PATH=%s:\"$PATH\" ;; esac\n", shellQuote(cli), shellQuote(cli))
	if runnerHost != "" {
		fmt.Fprintf(&b, "export %s=%s\n", runnerVariable, shellQuote(runnerHost))
	}
	b.WriteString("export DAGGER_NO_NAG=1\nexport DO_NOT_TRACK=1\n")
	// This build has no interactive UI, which a terminal would get by default.
	b.WriteString("export DAGGER_PROGRESS=\"${DAGGER_PROGRESS:-dots}\"\n")
	return b.String()
}

// WriteEnv writes .slipway/env into a checkout; it leaves an equal file alone.
func WriteEnv(repo, content string) error {
	file := filepath.Join(repo, ".slipway", "env")
	if old, err := os.ReadFile(file); err == nil && string(old) == content {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return writeFile(file, []byte(content), 0o644)
}

// shellQuote quotes a word for a POSIX shell.
func shellQuote(word string) string {
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// writeFile writes a file under a temporary name and renames it, so that no
// reader sees a part of it.
func writeFile(file string, content []byte, mode os.FileMode) error {
	temp, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+"-")
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name())
	_, err = temp.Write(content)
	if closeErr := temp.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Chmod(temp.Name(), mode)
	}
	if err == nil {
		err = os.Rename(temp.Name(), file)
	}
	return err
}
