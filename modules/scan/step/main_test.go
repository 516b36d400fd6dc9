package main

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"slipway/step"
	results "slipway/step/result/scan"
)

// asStep makes the test binary behave as the step program.
const asStep = "SLIPWAY_TEST_AS_STEP"

// started runs the step program, and returns its exit code and what it printed.
func started(args ...string) (int, string) {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), asStep+"=1")
	printed, _ := cmd.CombinedOutput()
	return cmd.ProcessState.ExitCode(), string(printed)
}

func TestACommandLineThatIsWrongIsNoResult(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	for name, c := range map[string]struct {
		args    []string
		printed string
	}{
		"nothing":     {nil, "usage: step database-resolve|database|report|config [flags]"},
		"no command":  {[]string{"scan", "--out", out}, `unknown command "scan": use database-resolve, database, report or config`},
		"no folder":   {[]string{"config"}, "config: --out is missing, or an argument is not a flag"},
		"an argument": {[]string{"report", "--out", out, "now"}, "report: --out is missing, or an argument is not a flag"},
		"no flag":     {[]string{"database", "--out", out, "--force"}, "flag provided but not defined: -force"},
		"no program":  {[]string{"confined"}, "confined names no program"},
	} {
		code, printed := started(c.args...)
		require.Equal(t, 2, code, name)
		require.Contains(t, printed, c.printed, name)
		require.NoDirExists(t, out)
	}
}

// scanner is a program that says that it is Trivy, and fails at everything else.
func scanner(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "trivy")
	require.NoError(t, os.WriteFile(file, []byte("#!/bin/sh\nif test \"$1\" = version; then echo '{\"Version\":\"0.74.0\"}'; exit 0; fi\necho broken >&2; exit 3\n"), 0o700))
	return file
}

func TestWhatCanNotBeScannedIsRefused(t *testing.T) {
	trivy, folder := scanner(t), t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(folder, "pod.yaml"), []byte("kind: Pod\n"), 0o600))
	rendered := filepath.Join(t.TempDir(), "rendered.yaml")
	require.NoError(t, os.WriteFile(rendered, []byte("apiVersion: v1\nkind: Pod\nmetadata: {name: x}\n"), 0o600))
	digest := "sha256:" + strings.Repeat("1", 64)
	for name, c := range map[string]struct {
		args          []string
		kind          step.Kind
		input, reason string
	}{
		"no manifests":           {[]string{"config", "--trivy", trivy}, step.KindInput, "--manifests", "is not given"},
		"manifests of no name":   {[]string{"config", "--trivy", trivy, "--manifests", "x"}, step.KindInput, `--manifests "x"`, "has no name"},
		"a second of no name":    {[]string{"config", "--trivy", trivy, "--manifests", "a=" + folder, "--manifests", "x"}, step.KindInput, `--manifests "x"`, "has no name"},
		"rendered of no name":    {[]string{"config", "--trivy", trivy, "--rendered", "x"}, step.KindInput, `--rendered "x"`, "has no name"},
		"rendered that are none": {[]string{"config", "--trivy", trivy, "--rendered", "a=" + filepath.Join(folder, "none")}, "", "", ""},
		"no scanner":             {[]string{"config", "--trivy", filepath.Join(folder, "none"), "--manifests", "a=" + folder}, step.KindInput, "--trivy ", "is not an executable"},
		"a scanner that fails":   {[]string{"config", "--trivy", trivy, "--manifests", "a=" + folder}, step.KindInfrastructure, "trivy ", "the scanner failed"},
		"and fails at rendered":  {[]string{"config", "--trivy", trivy, "--rendered", "a=" + rendered}, step.KindInfrastructure, "trivy ", "the scanner failed"},
		"a report of no name":    {[]string{"report", "--trivy", trivy, "--manifests", "x"}, step.KindInput, `--manifests "x"`, "has no name"},
		"a report of no layout":  {[]string{"report", "--trivy", trivy, "--digest", digest, "--layout", folder, "--cache", folder}, "", "", ""},
		"a report, no scanner":   {[]string{"report", "--trivy", folder}, step.KindInput, "--trivy ", "is not an executable"},
		"no repository":          {[]string{"database-resolve", "--repository", "../x"}, step.KindInput, "repository", "is not a repository"},
		"no tag":                 {[]string{"database", "--repository", "localhost:5000/db", "--tag", "a b"}, step.KindInput, "", "is not a valid tag"},
		"no scanner for it":      {[]string{"database", "--trivy", folder, "--repository", "localhost:5000/db", "--digest", digest}, step.KindInput, "--trivy ", "is not an executable"},
		"no digest":              {[]string{"database", "--trivy", trivy, "--repository", "localhost:5000/db", "--digest", "2"}, step.KindInput, "", ""},
		"no connection":          {[]string{"database-resolve", "--repository", "localhost:5000/db", "--connect", "x"}, step.KindInput, "--connect", "is not LOGICAL=ACTUAL"},
	} {
		t.Run(name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "out")
			code, printed := started(append(c.args, "--out", out)...)
			if c.kind == "" && code != 0 {
				require.NoFileExists(t, filepath.Join(out, step.ResultFile), "what fails has no result")
				return
			}
			require.Zero(t, code, printed)
			var checked results.Checked
			fault, ok := step.AsFault(outcome(t, out, &checked))
			require.True(t, ok, "it passes")
			if c.kind == "" {
				return
			}
			require.Equal(t, c.kind, fault.Kind)
			require.Contains(t, fault.Input, c.input)
			require.Contains(t, fault.Reason, c.reason)
		})
	}
}

func TestADatabaseIsResolvedToItsDigest(t *testing.T) {
	const manifest = `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.aquasec.trivy.config.v1+json","size":2,"digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"},"layers":[{"mediaType":"application/vnd.aquasec.trivy.db.layer.v1.tar+gzip","size":2,"digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"}]}`
	digest := fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(manifest)))
	host := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/v2/":
		case "/v2/db/manifests/2":
			w.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
			w.Header().Set("Docker-Content-Digest", digest)
			_, _ = io.WriteString(w, manifest)
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(host.Close)
	out := filepath.Join(t.TempDir(), "out")
	code, printed := started("database-resolve", "--repository", "localhost:5000/db", "--connect", "localhost:5000="+host.Listener.Addr().String(), "--out", out)
	require.Zero(t, code, printed)
	var resolved results.Resolved
	require.NoError(t, outcome(t, out, &resolved))
	require.Equal(t, results.Resolved{Digest: digest}, resolved)
}
