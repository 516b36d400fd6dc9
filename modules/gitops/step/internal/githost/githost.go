// Package githost serves a bare repository over smart HTTP with the host's own
// git, for tests: the server is the real git-http-backend(1).
package githost

import (
	"io"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Host is one served bare repository.
type Host struct {
	// URL is the repository's address.
	URL string
	// Dir is the bare repository on disk.
	Dir string

	t       *testing.T
	handler http.Handler
}

// Start serves a repository whose branch main holds files, keyed by path. A
// value that begins with "-> " is a symbolic link to what follows. wrap, which
// may be nil, stands between the client and git.
func Start(t *testing.T, files map[string]string, wrap func(git http.Handler) http.Handler) *Host {
	t.Helper()
	root := t.TempDir()
	h := &Host{t: t, Dir: filepath.Join(root, "gitops.git")}
	h.run(root, "init", "-q", "--bare", "--initial-branch=main", h.Dir)
	h.Git("config", "http.receivepack", "true")
	backend := &cgi.Handler{
		Path: filepath.Join(h.run(root, "--exec-path"), "git-http-backend"),
		Root: "/",
		// What git says to its own log is no part of the protocol.
		Stderr: io.Discard,
		Env:    []string{"GIT_PROJECT_ROOT=" + root, "GIT_HTTP_EXPORT_ALL=1", "REMOTE_USER=tester"},
	}
	h.handler = backend
	if wrap != nil {
		h.handler = wrap(backend)
	}
	server := httptest.NewServer(h.handler)
	t.Cleanup(server.Close)
	h.URL = server.URL + "/gitops.git"
	if len(files) > 0 {
		h.Commit("Start", files)
	}
	return h
}

// Git runs git in the bare repository and returns what it printed.
func (h *Host) Git(args ...string) string {
	h.t.Helper()
	return h.run(h.Dir, args...)
}

// Commit adds one commit with files to main, as a colleague would.
func (h *Host) Commit(message string, files map[string]string) string {
	h.t.Helper()
	work := h.t.TempDir()
	h.run(work, "clone", "-q", h.Dir, ".")
	for name, content := range files {
		file := filepath.Join(work, filepath.FromSlash(name))
		require.NoError(h.t, os.MkdirAll(filepath.Dir(file), 0o755))
		if target, ok := strings.CutPrefix(content, "-> "); ok {
			require.NoError(h.t, os.Symlink(target, file))
			continue
		}
		require.NoError(h.t, os.WriteFile(file, []byte(content), 0o644))
	}
	h.run(work, "add", "-A")
	h.run(work, "commit", "-q", "-m", message)
	h.run(work, "push", "-q", "origin", "HEAD:main")
	return h.run(work, "rev-parse", "HEAD")
}

// Hook installs a server-side hook; script is its text below the #! line.
func (h *Host) Hook(name, script string) {
	h.t.Helper()
	file := filepath.Join(h.Dir, "hooks", name)
	require.NoError(h.t, os.WriteFile(file, []byte("#!/bin/sh\n"+script+"\n"), 0o755))
}

func (h *Host) run(dir string, args ...string) string {
	h.t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(),
		"GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null",
		"GIT_AUTHOR_NAME=Tester", "GIT_AUTHOR_EMAIL=tester@example.com",
		"GIT_COMMITTER_NAME=Tester", "GIT_COMMITTER_EMAIL=tester@example.com")
	out, err := cmd.CombinedOutput()
	require.NoErrorf(h.t, err, "git %s: %s", strings.Join(args, " "), out)
	return strings.TrimSpace(string(out))
}
