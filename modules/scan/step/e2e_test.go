package main

import (
	"encoding/json"
	"flag"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/stretchr/testify/require"

	"slipway/scan/step/findings"
	"slipway/scan/step/internal/sample"
	"slipway/scan/step/layout"
	"slipway/scan/step/sbom"
	"slipway/scan/step/scan"
	"slipway/scan/step/trivy"
	"slipway/step"
	results "slipway/step/result/scan"
)

// The real scanner takes a quarter of an hour to compile, so a test that needs
// it runs where it is given:
//
//	go test . -trivy /path/to/trivy
var trivyBinary = flag.String("trivy", "", "Trivy binary for the tests of the whole scan")

// TestMain makes the test binary what the step program is to Trivy without a network:
// it starts it through itself.
func TestMain(m *testing.M) {
	if os.Getenv(asStep) != "" {
		main()
		return
	}
	if len(os.Args) > 1 && os.Args[1] == trivy.ConfinedCommand {
		fail(trivy.Confined(os.Args[2:]).Error())
	}
	os.Exit(m.Run())
}

// bench is this step's program, a registry and a database in it.
type bench struct {
	program, connect, cache string
}

const repository = "localhost:5000/slipway/trivy-db"

func newBench(t *testing.T) *bench {
	t.Helper()
	work := t.TempDir()
	b := &bench{program: filepath.Join(work, "step")}
	run(t, ".", nil, "go", "build", "-o", b.program, ".")
	builder := filepath.Join(work, "db")
	run(t, filepath.Join("..", "db"), nil, "go", "build", "-o", builder, ".")

	server := httptest.NewServer(registry.New())
	t.Cleanup(server.Close)
	b.connect = "localhost:5000=" + strings.TrimPrefix(server.URL, "http://")

	built := filepath.Join(work, "built")
	run(t, ".", nil, builder, "build", "--advisories", filepath.Join("..", "db", "advisories"),
		"--updated-at", "2026-01-02T03:04:05Z", "--next-update", "2026-01-03T03:04:05Z", "--out", built)
	var made struct{ Digest string }
	require.NoError(t, outcome(t, built, &made))
	pushed := filepath.Join(work, "pushed")
	run(t, ".", nil, builder, "push", "--layout", filepath.Join(built, "layout"),
		"--repository", repository, "--tag", "2", "--connect", b.connect, "--out", pushed)
	require.NoError(t, outcome(t, pushed, nil))

	resolved := filepath.Join(work, "resolved")
	run(t, ".", nil, b.program, "database-resolve", "--repository", repository, "--connect", b.connect, "--out", resolved)
	var found results.Resolved
	require.NoError(t, outcome(t, resolved, &found))
	require.Equal(t, made.Digest, found.Digest)

	fetched := filepath.Join(work, "fetched")
	run(t, ".", nil, b.program, "database", "--trivy", *trivyBinary, "--repository", repository,
		"--connect", b.connect, "--out", fetched)
	var info results.Database
	require.NoError(t, outcome(t, fetched, &info))
	require.Equal(t, results.Database{
		Digest: made.Digest, UpdatedAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		NextUpdate: time.Date(2026, 1, 3, 3, 4, 5, 0, time.UTC), Version: 2, Sources: []string{"Slipway Demo Advisories"},
	}, info)
	b.cache = filepath.Join(fetched, "cache")
	return b
}

// report runs the report subcommand and returns its output folder.
func (b *bench) report(t *testing.T, layout, digest string, flags ...string) string {
	t.Helper()
	out := t.TempDir()
	start := time.Now()
	run(t, ".", nil, b.program, append([]string{"report", "--trivy", *trivyBinary, "--layout", layout,
		"--digest", digest, "--cache", b.cache, "--out", out}, flags...)...)
	t.Logf("report took %s", time.Since(start).Round(time.Millisecond))
	return out
}

func run(t *testing.T, dir string, env []string, name string, args ...string) {
	t.Helper()
	command := exec.Command(name, args...)
	command.Dir = dir
	command.Env = append(append(os.Environ(), "CGO_ENABLED=0"), env...)
	out, err := command.CombinedOutput()
	require.NoError(t, err, "%s: %s", strings.Join(command.Args, " "), out)
	t.Logf("%s", out)
}

func outcome(t *testing.T, out string, value any) error {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(out, step.ResultFile))
	require.NoError(t, err)
	return step.Decode(data, value)
}

func document(t *testing.T, out string) results.Findings {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(out, "findings.json"))
	require.NoError(t, err)
	var d results.Findings
	require.NoError(t, json.Unmarshal(data, &d))
	return d
}

// program compiles a Go program that parses a language tag, for an architecture.
func program(t *testing.T, architecture, text string) []byte {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, "go.mod", "module sample\n\ngo 1.26.0\n\nrequire golang.org/x/text "+text+"\n")
	write(t, dir, "main.go", "package main\n\nimport \"golang.org/x/text/language\"\n\nfunc main() { println(language.Make(\"en\").String()) }\n")
	run(t, dir, nil, "go", "mod", "tidy")
	run(t, dir, []string{"GOARCH=" + architecture}, "go", "build", "-ldflags", "-s -w", "-o", "app", ".")
	data, err := os.ReadFile(filepath.Join(dir, "app"))
	require.NoError(t, err)
	return data
}

func write(t *testing.T, dir, name, content string) {
	t.Helper()
	file := filepath.Join(dir, name)
	require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
	require.NoError(t, os.WriteFile(file, []byte(content), 0o644))
}

const pod = `apiVersion: v1
kind: Pod
metadata:
  name: sample
spec:
  containers:
    - name: sample
      image: localhost:5000/sample@sha256:0000000000000000000000000000000000000000000000000000000000000000
      securityContext:
        privileged: true
`

func TestRealScanner(t *testing.T) {
	if *trivyBinary == "" {
		t.Skip("give the scanner with -trivy PATH")
	}
	b := newBench(t)
	source := t.TempDir()
	write(t, source, "main.go", "package main\n")
	// The packages that a source names are no findings: what of them is
	// delivered is in the image.
	write(t, source, "go.mod", "module sample\n\ngo 1.26.0\n\nrequire golang.org/x/text v0.3.7\n")
	code := t.TempDir()
	write(t, code, "go.mod", "module sample\n\ngo 1.26.0\n\nrequire golang.org/x/text v0.3.7\n")
	write(t, code, "main.tf", "resource \"terraform_data\" \"sample\" {\n  input = \"x\"\n}\n")

	docs := t.TempDir()
	write(t, docs, "notes.txt", "nothing\n")
	clean := program(t, "amd64", "v0.30.0")

	t.Run("a clean image of two platforms", func(t *testing.T) {
		index := sample.Index(t,
			sample.Image(t, "amd64", "app", clean),
			sample.Image(t, "arm64", "app", program(t, "arm64", "v0.30.0")))
		layout, digest := sample.Layout(t, index)
		out := b.report(t, layout, digest, "--source", source, "--expect", "gobinary")
		require.NoError(t, outcome(t, out, nil))
		d := document(t, out)
		require.Empty(t, d.Vulnerabilities)
		require.Empty(t, d.Secrets)
		require.Empty(t, d.Misconfigurations)
		require.Equal(t, []results.Scanned{
			{Target: "linux/amd64:app", Type: "gobinary", Packages: 3},
			{Target: "linux/arm64:app", Type: "gobinary", Packages: 3},
			{Target: "source", Type: "secret"},
		}, d.Scanned)
		manifests, err := index.IndexManifest()
		require.NoError(t, err)
		for _, m := range manifests.Manifests {
			bom := bill(t, out, m.Platform.String())
			require.Equal(t, m.Digest.String(), bom.Metadata.Component.Version)
			require.Equal(t, "pkg:oci/source@"+m.Digest.String()+"?arch="+m.Platform.Architecture, bom.Metadata.Component.PackageURL)
			purls := map[string]string{}
			for _, c := range *bom.Components {
				purls[c.PackageURL] = c.Version
			}
			require.Len(t, purls, 4)
			require.Equal(t, "v0.30.0", purls["pkg:golang/golang.org/x/text@v0.30.0"])
			require.Contains(t, purls, "pkg:golang/sample")
		}
	})

	t.Run("bills of materials of sources", func(t *testing.T) {
		layout, digest := sample.Layout(t, sample.Image(t, "amd64", "app", clean))
		named := t.TempDir()
		write(t, named, "go.mod", "module sample\n\ngo 1.26.0\n\nrequire golang.org/x/text v0.3.7\n\nrequire golang.org/x/tools v0.1.0 // indirect\n")
		write(t, named, "web/package-lock.json", `{"name":"web","version":"1.0.0","lockfileVersion":3,"packages":{`+
			`"":{"name":"web","version":"1.0.0","dependencies":{"left-pad":"1.3.0"}},`+
			`"node_modules/left-pad":{"version":"1.3.0","license":"WTFPL"}}}`)
		bare := t.TempDir()
		write(t, bare, "main.go", "package main\n")
		for folder, want := range map[string][]string{
			named: {"pkg:golang/golang.org/x/text@v0.3.7", "pkg:golang/golang.org/x/tools@v0.1.0", "pkg:golang/sample", "pkg:npm/left-pad@1.3.0"},
			bare:  nil,
		} {
			out := b.report(t, layout, digest, "--source", folder, "--source-name", "apps/sample", "--source-revision", strings.Repeat("7", 40))
			require.NoError(t, outcome(t, out, nil))
			bom := bill(t, out, "")
			require.Equal(t, "apps/sample", bom.Metadata.Component.Name)
			var purls []string
			for _, c := range *bom.Components {
				if c.PackageURL != "" { // not a file that packages are named in
					purls = append(purls, c.PackageURL)
				}
			}
			require.ElementsMatch(t, want, purls)
			for _, platform := range []string{"linux/amd64", ""} {
				for _, format := range []results.SBOMFormat{results.CycloneDX, results.SPDX} {
					data, err := os.ReadFile(filepath.Join(out, results.SBOM(platform, format)))
					require.NoError(t, err)
					require.NoError(t, sample.Schema(t, format).Validate(sample.JSON(t, data)), "%s%s", platform, format)
				}
			}
		}
	})

	// Not by a report: the test's database has no advisories for a distribution.
	t.Run("the bill of a distribution's packages", func(t *testing.T) {
		debian := func(architecture string) v1.Image {
			return sample.Files(t, architecture, map[string]string{
				"etc/os-release":     "ID=debian\nVERSION_ID=\"12\"\n",
				"etc/debian_version": "12.11\n",
				"var/lib/dpkg/status": "Package: zlib1g\nStatus: install ok installed\nMaintainer: Mark Brown <broonie@debian.org>\n" +
					"Architecture: " + architecture + "\nSource: zlib\nVersion: 1:1.2.13.dfsg-1\nDepends: libc6 (>= 2.14)\n\n" +
					"Package: libc6\nStatus: install ok installed\nArchitecture: " + architecture + "\nVersion: 2.36-9+deb12u10\n",
				"usr/share/doc/zlib1g/copyright": "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\nFiles: *\nLicense: Zlib\n",
			})
		}
		folder, digest := sample.Layout(t, sample.Index(t, debian("amd64"), debian("arm64")))
		image, err := layout.Verify(folder, digest)
		require.NoError(t, err)
		runner, err := trivy.New(t.Context(), *trivyBinary, t.TempDir())
		require.NoError(t, err)
		for _, i := range image.Images {
			view, report := filepath.Join(t.TempDir(), "view"), filepath.Join(t.TempDir(), "report.json")
			require.NoError(t, image.View(i, view))
			require.NoError(t, runner.Offline(t.Context(), "image", trivy.ImageArgs(b.cache, view, report)...))
			read, err := findings.Read(report)
			require.NoError(t, err)
			made, err := sbom.Of(sbom.Subject{Name: "sample", Platform: i.Platform, Digest: i.Digest, TrivyVersion: runner.Version(), Created: sbom.Created()}, read)
			require.NoError(t, err)
			architecture := strings.TrimPrefix(i.Platform, "linux/")
			for format, document := range map[results.SBOMFormat]func() ([]byte, error){results.CycloneDX: made.CycloneDX, results.SPDX: made.SPDX} {
				data, err := document()
				require.NoError(t, err)
				require.NoError(t, sample.Schema(t, format).Validate(sample.JSON(t, data)), format)
				for _, want := range []string{
					`"Zlib"`, "Mark Brown <broonie@debian.org>", `"1:1.2.13.dfsg-1"`, `"name": "debian"`,
					"pkg:deb/debian/libc6@2.36-9%2Bdeb12u10?arch=" + architecture + "&distro=debian-12.11",
					"pkg:deb/debian/zlib1g@1.2.13.dfsg-1?arch=" + architecture + "&distro=debian-12.11&epoch=1",
				} {
					require.Contains(t, string(data), want, format)
				}
				// Not the folder that Trivy looked at.
				require.NotContains(t, string(data), "view", format)
			}
		}
	})

	t.Run("a vulnerable image, a secret and a privileged pod", func(t *testing.T) {
		index := sample.Index(t,
			sample.Image(t, "amd64", "app", program(t, "amd64", "v0.3.7")),
			sample.Image(t, "arm64", "app", program(t, "arm64", "v0.3.7")))
		layout, digest := sample.Layout(t, index)
		// Put together here, so that this file holds no token.
		token := "ghp_" + strings.Repeat("a1B2c3D4e5", 4)[:36]
		dirty := t.TempDir()
		write(t, dirty, "internal/config_test.go", "package config\n\nconst token = \""+token+"\"\n")
		manifests := t.TempDir()
		write(t, manifests, "base/pod.yaml", pod)
		out := b.report(t, layout, digest, "--source", dirty, "--source-name", "apps/sample",
			"--manifests", "gitops/apps/sample="+manifests, "--manifests", "infra/local="+code, "--expect", "gobinary")
		var summary results.Summary
		require.NoError(t, outcome(t, out, &summary))
		t.Logf("misconfigurations: %v", summary.Misconfigurations)
		d := document(t, out)
		require.Equal(t, []results.Vulnerability{{
			ID: "CVE-2022-32149", Package: "golang.org/x/text", Installed: "v0.3.7", Fixed: "0.3.8", Severity: "HIGH",
			Platforms: []string{"linux/amd64", "linux/arm64"}, Target: "app", PURLs: []string{"pkg:golang/golang.org/x/text@v0.3.7"},
			Title: "Slow Accept-Language parsing in golang.org/x/text/language",
		}}, d.Vulnerabilities)
		require.Equal(t, []results.Secret{{
			Rule: "github-pat", File: "apps/sample/internal/config_test.go", Line: 3, Severity: "CRITICAL", Title: "GitHub Personal Access Token",
		}}, d.Secrets)
		require.Contains(t, d.Misconfigurations, results.Misconfiguration{
			ID: "KSV-0017", File: "gitops/apps/sample/base/pod.yaml", Line: 7, Severity: "HIGH", Title: "Privileged",
			Message:    "Container 'sample' of Pod 'sample' should set 'securityContext.privileged' to false",
			Resolution: "Change 'containers[].securityContext.privileged' to 'false'.",
		})
		require.Contains(t, d.Scanned, results.Scanned{Target: "infra/local", Type: "terraform"})
		for _, file := range append(summary.Files, step.ResultFile) {
			data, err := os.ReadFile(filepath.Join(out, file))
			require.NoError(t, err)
			require.NotContains(t, string(data), token[4:20], file)
		}
		table, err := os.ReadFile(filepath.Join(out, scan.TableFile))
		require.NoError(t, err)
		for _, want := range []string{"linux/amd64/app (gobinary)", "CVE-2022-32149", "github-pat", "KSV-0017"} {
			require.Contains(t, string(table), want)
		}
		rules, places := sarif(t, out)
		require.Subset(t, rules, []string{"CVE-2022-32149", "github-pat", "KSV-0017"})
		require.Subset(t, places, []string{
			"linux/amd64/app", "linux/arm64/app", "apps/sample/internal/config_test.go", "gitops/apps/sample/base/pod.yaml"})
	})

	t.Run("a Helm chart, and one that can't be rendered", func(t *testing.T) {
		layout, digest := sample.Layout(t, sample.Image(t, "amd64", "app", clean))
		charts := t.TempDir()
		write(t, charts, "chart/Chart.yaml", "apiVersion: v2\nname: sample\nversion: 1.0.0\n")
		write(t, charts, "chart/values.yaml", "privileged: true\n")
		const template = "chart/templates/pod.yaml"
		write(t, charts, template, strings.Replace(pod, "privileged: true", "privileged: {{ .Values.privileged }}", 1))
		out := b.report(t, layout, digest, "--source", source, "--manifests", "gitops/apps/sample="+charts)
		require.NoError(t, outcome(t, out, nil))
		d := document(t, out)
		require.Contains(t, d.Scanned, results.Scanned{Target: "gitops/apps/sample/" + template, Type: "helm"})
		require.True(t, slices.ContainsFunc(d.Misconfigurations, func(m results.Misconfiguration) bool {
			return m.ID == "KSV-0017" && m.File == "gitops/apps/sample/"+template && m.Severity == "HIGH"
		}), "%v", d.Misconfigurations)

		write(t, charts, template, "{{ fail \"not now\" }}\n")
		out = b.report(t, layout, digest, "--source", source, "--manifests", "gitops/apps/sample="+charts)
		fault, ok := step.AsFault(outcome(t, out, nil))
		require.True(t, ok)
		require.Equal(t, "manifest gitops/apps/sample/"+template, fault.Input)
		require.Contains(t, fault.Reason, "Trivy did not check")
	})

	t.Run("what an overlay renders to", func(t *testing.T) {
		folder, out := t.TempDir(), t.TempDir()
		token := "ghp_" + strings.Repeat("a1B2c3D4e5", 4)[:36]
		write(t, folder, "manifests.yaml", pod+"---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {token: "+token+"}\n")
		const overlay = "gitops/apps/sample/overlays/dev"
		run(t, ".", nil, b.program, "config", "--trivy", *trivyBinary, "--rendered", overlay+"="+filepath.Join(folder, "manifests.yaml"), "--out", out)
		var found results.Checked
		require.NoError(t, outcome(t, out, &found))
		require.True(t, slices.ContainsFunc(found.Misconfigurations, func(m results.Misconfiguration) bool {
			return m.ID == "KSV-0017" && strings.HasPrefix(m.File, overlay+"/Pod-") && m.Severity == "HIGH"
		}), "%v", found.Misconfigurations)
		require.True(t, slices.ContainsFunc(found.Secrets, func(s results.Secret) bool { return s.File == overlay+"/ConfigMap-settings.yaml" }), "%v", found.Secrets)
	})

	t.Run("a comment that hides a finding", func(t *testing.T) {
		layout, digest := sample.Layout(t, sample.Image(t, "amd64", "app", clean))
		hidden := t.TempDir()
		write(t, hidden, "main.tf", "#trivy:exp:2099-01-01:ignore:*\nresource \"azurerm_storage_account\" \"a\" {\n  min_tls_version = \"TLS1_0\"\n}\n")
		out := b.report(t, layout, digest, "--source", source, "--manifests", "infra/azure="+hidden)
		require.NoError(t, outcome(t, out, nil))
		require.Contains(t, document(t, out).Misconfigurations, results.Misconfiguration{
			ID: results.InlineIgnore, File: "infra/azure/main.tf", Line: 1, Severity: "CRITICAL", Title: "A comment makes the scanner skip a check",
			Message: "Exceptions belong in the scan policy, where they have a reason, an owner and an expiry",
		})
		require.Contains(t, document(t, out).Scanned, results.Scanned{Target: "infra/azure/main.tf", Type: "terraform"})
	})

	t.Run("two scans give the same bytes", func(t *testing.T) {
		layout, digest := sample.Layout(t, sample.Image(t, "amd64", "app", clean))
		one := b.report(t, layout, digest, "--source", source, "--manifests", "infra/local="+code)
		two := b.report(t, layout, digest, "--source", source, "--manifests", "infra/local="+code)
		require.NoError(t, filepath.WalkDir(one, func(path string, entry os.DirEntry, err error) error {
			require.NoError(t, err)
			if entry.IsDir() || entry.Name() == step.ResultFile { // which says when it was
				return nil
			}
			relative, err := filepath.Rel(one, path)
			require.NoError(t, err)
			first, err := os.ReadFile(path)
			require.NoError(t, err)
			second, err := os.ReadFile(filepath.Join(two, relative))
			require.NoError(t, err)
			require.Equal(t, string(first), string(second), relative)
			return nil
		}))
	})

	for name, c := range map[string]struct {
		content []byte
		cache   string
		flags   []string
		kind    step.Kind
		reason  string
	}{
		"an image that holds no Go program": {[]byte("#!/bin/sh\n"), b.cache, nil, step.KindPolicy, "holds no package"},
		"no database":                       {clean, t.TempDir(), nil, step.KindInfrastructure, "holds no vulnerability database"},
		"manifests of no known kind":        {clean, b.cache, []string{"--manifests", "docs=" + docs}, step.KindPolicy, "hold no file that Trivy can check"},
	} {
		t.Run("refused: "+name, func(t *testing.T) {
			layout, digest := sample.Layout(t, sample.Image(t, "amd64", "app", c.content))
			b := &bench{program: b.program, cache: c.cache}
			out := b.report(t, layout, digest, append([]string{"--source", source, "--expect", "gobinary"}, c.flags...)...)
			fault, ok := step.AsFault(outcome(t, out, nil))
			require.True(t, ok)
			require.Equal(t, c.kind, fault.Kind)
			require.Contains(t, fault.Reason, c.reason)
			require.NoFileExists(t, filepath.Join(out, scan.FindingsFile))
		})
	}
}

// bill reads a bill of materials in CycloneDX: of the image for a platform, or of the
// source.
func bill(t *testing.T, out, platform string) cdx.BOM {
	t.Helper()
	file, err := os.Open(filepath.Join(out, results.SBOM(platform, results.CycloneDX)))
	require.NoError(t, err)
	defer file.Close()
	var bom cdx.BOM
	require.NoError(t, cdx.NewBOMDecoder(file, cdx.BOMFileFormatJSON).Decode(&bom))
	require.Equal(t, cdx.SpecVersion1_6, bom.SpecVersion)
	return bom
}

// sarif reads the rules and the places of a SARIF 2.1.0 log.
func sarif(t *testing.T, out string) (rules, places []string) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(out, scan.SARIFFile))
	require.NoError(t, err)
	var log struct {
		Version string
		Runs    []struct {
			Results []struct {
				RuleID    string
				Locations []struct {
					PhysicalLocation struct{ ArtifactLocation struct{ URI string } }
				}
			}
		}
	}
	require.NoError(t, json.Unmarshal(data, &log))
	require.Equal(t, "2.1.0", log.Version)
	require.Len(t, log.Runs, 1)
	for _, r := range log.Runs[0].Results {
		rules = append(rules, r.RuleID)
		for _, l := range r.Locations {
			places = append(places, l.PhysicalLocation.ArtifactLocation.URI)
		}
	}
	return rules, places
}
