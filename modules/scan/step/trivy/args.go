// Package trivy runs the stock Trivy binary: exact arguments, an empty working
// folder, no inherited environment and, where the kernel allows it, no network.
package trivy

// Every run is told not to look for anything: no newer version, no telemetry,
// no newer database or checks. The working folder is empty, so no .trivyignore
// and no trivy.yaml of the scanned source is ever read.
func quiet(cache string) []string {
	return []string{
		"--cache-dir", cache,
		"--no-progress",
		"--skip-version-check",
		"--disable-telemetry",
	}
}

// scanning is what all offline scans share: Trivy's JSON report in output, and
// a cache in memory, so that the database folder stays as it was verified.
func scanning(cache, output string) []string {
	return append([]string{
		"--format", "json",
		"--output", output,
		"--offline-scan",
		"--skip-db-update",
		"--skip-java-db-update",
		"--skip-vex-repo-update",
		"--cache-backend", "memory",
		"--timeout", "15m",
	}, quiet(cache)...)
}

// DownloadArgs fetch the vulnerability database at reference into cache.
func DownloadArgs(cache, reference string) []string {
	return append([]string{"image", "--download-db-only", "--db-repository", reference}, quiet(cache)...)
}

// ImageArgs scan the packages of the one image in the OCI layout at folder.
func ImageArgs(cache, folder, output string) []string {
	args := []string{"image", "--input", folder, "--scanners", "vuln", "--pkg-types", "os,library", "--list-all-pkgs"}
	return append(args, scanning(cache, output)...)
}

// SourceArgs look for secrets in the source at folder.
func SourceArgs(cache, secretConfig, folder, output string) []string {
	args := []string{"fs", "--scanners", "secret", "--secret-config", secretConfig, "--list-all-pkgs=false"}
	return append(append(args, scanning(cache, output)...), folder)
}

// PackageArgs list the packages that the manifests and lock files in the source
// at folder name, without those for development. Trivy needs a scanner to list
// them: the one for licences asks no database.
func PackageArgs(cache, folder, output string) []string {
	args := []string{"fs", "--scanners", "license", "--pkg-types", "library", "--list-all-pkgs"}
	return append(append(args, scanning(cache, output)...), folder)
}

// ModuleArgs scan the modules that the go.mod files below folder require.
func ModuleArgs(cache, folder, output string) []string {
	args := []string{"fs", "--scanners", "vuln", "--pkg-types", "library", "--list-all-pkgs"}
	return append(append(args, scanning(cache, output)...), folder)
}

// ManifestArgs look for misconfigurations and secrets in the manifests at
// folder, with the checks that are built into Trivy.
func ManifestArgs(cache, secretConfig, folder, output string) []string {
	args := []string{"fs", "--scanners", "misconfig,secret", "--secret-config", secretConfig, "--skip-check-update", "--list-all-pkgs=false"}
	return append(append(args, scanning(cache, output)...), folder)
}

// ConvertArgs render a JSON report in another of Trivy's formats: table or
// sarif.
func ConvertArgs(cache, format, report, output string) []string {
	args := []string{"convert", "--format", format, "--output", output}
	if format == "table" {
		args = append(args, "--table-mode", "detailed")
	}
	return append(args, "--cache-dir", cache, report)
}

// SecretConfig is the configuration of the secret scan: Trivy's own rules, but
// without the exceptions that it makes for whole kinds of files. A credential
// is as public in a test or a README as anywhere else.
const SecretConfig = `disable-allow-rules:
  - tests
  - examples
  - vendor
  - markdown
  - locale-dir
  - usr-dirs
`
