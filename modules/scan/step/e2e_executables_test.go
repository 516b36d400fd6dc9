package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"slipway/scan/step/internal/sample"
)

// What the real scanner says of a program that is built from a copy of a
// vulnerable module, beside one that says nothing of itself.
func TestRealScannerOfCopiesAndStrangers(t *testing.T) {
	if *trivyBinary == "" {
		t.Skip("give the scanner with -trivy PATH")
	}
	b := newBench(t)
	dir := t.TempDir()
	write(t, dir, "go.mod", "module sample\n\ngo 1.26.0\n\nrequire golang.org/x/text v0.3.7\n\nreplace golang.org/x/text => ./copy\n")
	write(t, dir, "copy/go.mod", "module golang.org/x/text\n\ngo 1.26.0\n")
	write(t, dir, "copy/language/language.go", "package language\n\nfunc Make(s string) string { return s }\n")
	write(t, dir, "main.go", "package main\n\nimport \"golang.org/x/text/language\"\n\nfunc main() { println(language.Make(\"en\")) }\n")
	run(t, dir, []string{"GOARCH=amd64"}, "go", "build", "-ldflags", "-s -w", "-o", "app", ".")
	app, err := os.ReadFile(filepath.Join(dir, "app"))
	require.NoError(t, err)
	require.NoError(t, os.Remove(filepath.Join(dir, "app")))

	layout, digest := sample.Layout(t, sample.Files(t, "amd64", map[string]string{
		"app": string(app), "opt/stranger": "\x7fELF\x02\x01\x01" + strings.Repeat("\x00", 57), "opt/stranger.jar": "PK\x05\x06" + strings.Repeat("\x00", 18),
	}))
	out := b.report(t, layout, digest, "--source", dir, "--source-name", "apps/sample", "--expect", "gobinary")
	require.NoError(t, outcome(t, out, nil))
	d := document(t, out)
	require.Len(t, d.Vulnerabilities, 1)
	require.Equal(t, "CVE-2022-32149", d.Vulnerabilities[0].ID)
	require.Equal(t, "golang.org/x/text", d.Vulnerabilities[0].Package)
	require.Equal(t, "v0.3.7", d.Vulnerabilities[0].Installed)
	require.Equal(t, "app", d.Vulnerabilities[0].Target)
	require.Len(t, d.Unknown, 2)
	require.Equal(t, "opt/stranger", d.Unknown[0].Path)
	require.Equal(t, "opt/stranger.jar", d.Unknown[1].Path)
	require.Equal(t, 3, d.Images[0].Executables)
	var purls []string
	for _, c := range *bill(t, out, "").Components {
		purls = append(purls, c.PackageURL)
	}
	require.Contains(t, purls, "pkg:golang/golang.org/x/text@v0.3.7")
}
