package trivy

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestArgs(t *testing.T) {
	for name, c := range map[string]struct{ got, want []string }{
		"download": {DownloadArgs("/cache", "127.0.0.1:1/db@sha256:0"), []string{
			"image", "--download-db-only", "--db-repository", "127.0.0.1:1/db@sha256:0",
			"--cache-dir", "/cache", "--no-progress", "--skip-version-check", "--disable-telemetry"}},
		"image": {ImageArgs("/cache", "/view", "/report.json"), []string{
			"image", "--input", "/view", "--scanners", "vuln", "--pkg-types", "os,library", "--list-all-pkgs",
			"--format", "json", "--output", "/report.json", "--offline-scan",
			"--skip-db-update", "--skip-java-db-update", "--skip-vex-repo-update", "--cache-backend", "memory", "--timeout", "15m",
			"--cache-dir", "/cache", "--no-progress", "--skip-version-check", "--disable-telemetry"}},
		"source": {SourceArgs("/cache", "/secret.yaml", "/source", "/report.json"), []string{
			"fs", "--scanners", "secret", "--secret-config", "/secret.yaml", "--list-all-pkgs=false",
			"--format", "json", "--output", "/report.json", "--offline-scan",
			"--skip-db-update", "--skip-java-db-update", "--skip-vex-repo-update", "--cache-backend", "memory", "--timeout", "15m",
			"--cache-dir", "/cache", "--no-progress", "--skip-version-check", "--disable-telemetry", "/source"}},
		"packages": {PackageArgs("/cache", "/source", "/report.json"), []string{
			"fs", "--scanners", "license", "--pkg-types", "library", "--list-all-pkgs",
			"--format", "json", "--output", "/report.json", "--offline-scan",
			"--skip-db-update", "--skip-java-db-update", "--skip-vex-repo-update", "--cache-backend", "memory", "--timeout", "15m",
			"--cache-dir", "/cache", "--no-progress", "--skip-version-check", "--disable-telemetry", "/source"}},
		"modules": {ModuleArgs("/cache", "/modules", "/report.json"), []string{
			"fs", "--scanners", "vuln", "--pkg-types", "library", "--list-all-pkgs",
			"--format", "json", "--output", "/report.json", "--offline-scan",
			"--skip-db-update", "--skip-java-db-update", "--skip-vex-repo-update", "--cache-backend", "memory", "--timeout", "15m",
			"--cache-dir", "/cache", "--no-progress", "--skip-version-check", "--disable-telemetry", "/modules"}},
		"manifests": {ManifestArgs("/cache", "/secret.yaml", "/manifests", "/report.json"), []string{
			"fs", "--scanners", "misconfig,secret", "--secret-config", "/secret.yaml", "--skip-check-update", "--list-all-pkgs=false",
			"--format", "json", "--output", "/report.json", "--offline-scan",
			"--skip-db-update", "--skip-java-db-update", "--skip-vex-repo-update", "--cache-backend", "memory", "--timeout", "15m",
			"--cache-dir", "/cache", "--no-progress", "--skip-version-check", "--disable-telemetry", "/manifests"}},
		"table": {ConvertArgs("/cache", "table", "/all.json", "/report.txt"), []string{
			"convert", "--format", "table", "--output", "/report.txt", "--table-mode", "detailed", "--cache-dir", "/cache", "/all.json"}},
		"sarif": {ConvertArgs("/cache", "sarif", "/all.json", "/report.sarif"), []string{
			"convert", "--format", "sarif", "--output", "/report.sarif", "--cache-dir", "/cache", "/all.json"}},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, c.want, c.got) })
	}
}
