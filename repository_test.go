// Package slipway_test holds the repository as a whole to its own rules.
package slipway_test

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

type versions struct {
	Go        string `yaml:"go"`
	Toolchain struct {
		Module string `yaml:"module"`
		Sum    string `yaml:"sum"`
	} `yaml:"toolchain"`
	Dagger string `yaml:"dagger"`
	// DaggerCLI is held to by the tests of wrappers.
	DaggerCLI string                       `yaml:"daggerCLI"`
	Modules   map[string]map[string]string `yaml:"modules"`
	NPM       map[string]map[string]string `yaml:"npm"`
	System    map[string]string            `yaml:"system"`
}

func readVersions(t *testing.T) versions {
	t.Helper()
	file, err := os.Open("versions.yaml")
	require.NoError(t, err)
	defer file.Close()
	var v versions
	decoder := yaml.NewDecoder(file)
	decoder.KnownFields(true)
	require.NoError(t, decoder.Decode(&v))
	return v
}

func TestEveryListedVersionIsTheOneInGoMod(t *testing.T) {
	for file, modules := range readVersions(t).Modules {
		t.Run(file, func(t *testing.T) {
			require.FileExists(t, file)
			out, err := exec.Command("go", "mod", "edit", "-json", file).Output()
			require.NoError(t, err)
			var mod struct {
				Require []struct{ Path, Version string }
			}
			require.NoError(t, json.Unmarshal(out, &mod))
			pinned := map[string]string{}
			for _, r := range mod.Require {
				pinned[r.Path] = r.Version
			}
			for path, version := range modules {
				assert.Equal(t, version, pinned[path], path)
			}
		})
	}
}

// A lock names no registry: packages come from the machine's own, and are what they are
// by their hashes.
func TestEveryListedPackageIsLocked(t *testing.T) {
	for folder, packages := range readVersions(t).NPM {
		var lock struct {
			Packages map[string]struct {
				Version, Integrity, Resolved string
				Link                         bool
				Dependencies                 map[string]string
			}
		}
		require.NoError(t, json.Unmarshal([]byte(readFile(t, filepath.Join(folder, "package-lock.json"))), &lock))
		assert.Equal(t, packages, lock.Packages[""].Dependencies, folder)
		delete(lock.Packages, "")
		require.NotEmpty(t, lock.Packages)
		for name, p := range lock.Packages {
			assert.True(t, strings.HasPrefix(p.Integrity, "sha512-") && !p.Link, "%s: %s has no hash", folder, name)
			assert.Empty(t, p.Resolved, "%s: %s", folder, name)
		}
	}
}

func TestEveryToolIsListed(t *testing.T) {
	listed := readVersions(t).Modules
	for _, file := range find(t, "go.mod") {
		out, err := exec.Command("go", "mod", "edit", "-json", file).Output()
		require.NoError(t, err, file)
		var mod struct {
			Tool []struct{ Path string }
		}
		require.NoError(t, json.Unmarshal(out, &mod), file)
		for _, tool := range mod.Tool {
			found := false
			for path := range listed[filepath.ToSlash(file)] {
				found = found || tool.Path == path || strings.HasPrefix(tool.Path, path+"/")
			}
			assert.True(t, found, "versions.yaml does not list %s of %s", tool.Path, file)
		}
	}
}

// A module of another name would be compiled until somebody needs its package.
func TestEveryReplacedModuleIsInItsFolder(t *testing.T) {
	names := map[string]string{}
	type module struct {
		Module  struct{ Path string }
		Replace []struct {
			Old, New struct{ Path, Version string }
		}
	}
	mods := map[string]module{}
	for _, file := range find(t, "go.mod") {
		out, err := exec.Command("go", "mod", "edit", "-json", file).Output()
		require.NoError(t, err, file)
		var mod module
		require.NoError(t, json.Unmarshal(out, &mod), file)
		mods[file], names[filepath.Dir(file)] = mod, mod.Module.Path
	}
	replaced := 0
	for file, mod := range mods {
		for _, r := range mod.Replace {
			if r.New.Version == "" {
				replaced++
				assert.Equal(t, r.Old.Path, names[filepath.Join(filepath.Dir(file), r.New.Path)], "%s replaces it by %s", file, r.New.Path)
			}
		}
	}
	assert.Positive(t, replaced)
}

// Some programs are told their version, and images are named after it.
func TestPinsOfTheClusterAgree(t *testing.T) {
	v := readVersions(t).Modules
	pinned := func(folder, module string) string {
		version := v["modules/sandbox/"+folder+"/go.mod"][module]
		require.NotEmpty(t, version, module)
		return strings.TrimPrefix(version, "v")
	}
	kubernetes := pinned("pins/kubernetes", "k8s.io/kubernetes")
	argocd := pinned("pins/argocd", "github.com/argoproj/argo-cd/v2")
	kyverno := pinned("pins/kyverno", "github.com/kyverno/kyverno")
	coredns := pinned("coredns", "github.com/coredns/coredns")
	provider := pinned("pins/provider", "github.com/gavinbunney/terraform-provider-kubectl")
	azurerm := regexp.MustCompile(`-0\.(\d{8})\d{6}-([0-9a-f]{12})$`).FindStringSubmatch(pinned("pins/azurerm", "github.com/hashicorp/terraform-provider-azurerm"))
	require.Len(t, azurerm, 3)
	redis := regexp.MustCompile(`(?m)^redis-server \d+:([0-9.]+)-`).FindStringSubmatch(readFile(t, "modules/sandbox/debian/redis.lock"))
	require.Len(t, redis, 2)
	for file, wanted := range map[string][]string{
		"modules/sandbox/parts.go": {
			"gitVersion=v" + kubernetes + `"`, "common.version=" + argocd + `"`, "version.Version=" + pinned("pins/containerd", "github.com/containerd/containerd/v2") + `"`,
			"BuildVersion=v" + kyverno + `"`, `version = "` + provider + `"`, "+" + azurerm[1] + "." + azurerm[2] + `"`,
		},
		"modules/gitops/helm.go": {"version.version=" + v["modules/gitops/helm/go.mod"]["helm.sh/helm/v3"] + `"`},
		"modules/sandbox/node.go": {
			"argo-cd/v2@v" + argocd, "kyverno@v" + kyverno, `"argocd:` + argocd + `"`, `"redis:` + redis[1] + `"`, `"coredns:` + coredns + `"`, `"kyverno:` + kyverno + `"`,
		},
		"gitops/platform/argocd/overlays/sandbox/kustomization.yaml":  {`newTag: "` + argocd + `"`, `newTag: "` + redis[1] + `"`},
		"gitops/platform/kyverno/overlays/sandbox/kustomization.yaml": {`newTag: "` + kyverno + `"`},
		"gitops/platform/coredns/kustomization.yaml":                  {`newTag: "` + coredns + `"`},
		"infra/local/terraform.tf":                                    {`"` + provider + `"`},
		"infra/azure/.terraform.lock.hcl":                             {"+" + azurerm[1] + "." + azurerm[2] + `"`},
		"infra/azure-bootstrap/.terraform.lock.hcl":                   {"+" + azurerm[1] + "." + azurerm[2] + `"`},
	} {
		for _, text := range wanted {
			assert.Contains(t, readFile(t, file), text, file)
		}
	}
	assert.Equal(t, argocd, strings.TrimPrefix(v["modules/gitops/argocd/go.mod"]["github.com/argoproj/argo-cd/v2"], "v"))
	assert.Equal(t, "v0"+strings.TrimPrefix(kubernetes, "1"), v["modules/sandbox/node/go.mod"]["k8s.io/client-go"])
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	require.NoError(t, err)
	return string(data)
}

func TestPinsOfEngineToolchainAndScannerAgree(t *testing.T) {
	v := readVersions(t)
	trivy := v.Modules["modules/scan/trivy/go.mod"]["github.com/aquasecurity/trivy"]
	assert.Equal(t, "golang.org/toolchain@v0.0.1-go"+v.Go+".linux-amd64", v.Toolchain.Module)
	module, version, _ := strings.Cut(v.Toolchain.Module, "@")
	for file, wanted := range map[string][]string{
		"engine/pins.go":            {`"` + v.Dagger + `"`, `"` + v.Toolchain.Module + `"`, `"` + v.Toolchain.Sum + `"`},
		"modules/toolchain/pins.go": {`"` + module + `"`, `"` + version + `"`, `"` + v.Toolchain.Sum + `"`},
		// What the scanner calls itself, and the library that the step reads its reports with.
		"modules/scan/main.go":     {"app.ver=" + strings.TrimPrefix(trivy, "v") + `"`},
		"modules/scan/step/go.mod": {"github.com/aquasecurity/trivy " + trivy + "\n"},
	} {
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, text := range wanted {
			assert.Contains(t, string(data), text, file)
		}
	}
	for _, file := range find(t, "dagger.json") {
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		var module struct {
			EngineVersion string `json:"engineVersion"`
		}
		require.NoError(t, json.Unmarshal(data, &module), file)
		assert.Equal(t, v.Dagger, module.EngineVersion, file)
	}
}

// Every user pays at every cold start for what ci and the stage modules
// import: the heavy libraries belong in step programs.
func TestDaggerModulesStayLean(t *testing.T) {
	heavy := []string{"github.com/aquasecurity/", "github.com/argoproj/", "github.com/hashicorp/", "github.com/sigstore/", "github.com/google/go-containerregistry", "github.com/yannh/", "k8s.io/", "sigs.k8s.io/"}
	const most = 60
	for _, file := range find(t, "dagger.json") {
		folder := filepath.Dir(file)
		if folder == "." {
			folder = "ci"
		}
		out, err := exec.Command("go", "mod", "edit", "-json", filepath.Join(folder, "go.mod")).Output()
		require.NoError(t, err, folder)
		var mod struct {
			Require []struct{ Path string }
		}
		require.NoError(t, json.Unmarshal(out, &mod))
		assert.Less(t, len(mod.Require), most, "%s has too many dependencies", folder)
		for _, r := range mod.Require {
			for _, prefix := range heavy {
				assert.False(t, strings.HasPrefix(r.Path, prefix), "%s must not depend on %s", folder, r.Path)
			}
		}
	}
}

// A function without a cache policy is kept for days: an effect would silently
// do nothing. So every function states its policy, and whoever adds one decides.
func TestEveryFunctionStatesItsCachePolicy(t *testing.T) {
	const kept, never = `+cache="168h"`, `+cache="never"`
	effects := map[string][]string{
		"ci": {"Image.Scan", "Image.Report", "Image.Sbom", "Slipway.PublishDatabase", "ScannedImage.Report", "ScannedImage.Publish", "PublishedImage.Sign", "SignedImage.Verify", "SignedImage.Release", "SignedImage.Approve", "Slipway.Inspect", "Slipway.Verify", "Slipway.Rescan", "Rescan.Revocations", "Slipway.Revoke", "Slipway.Receipt", "Slipway.ReceiptVerify", "SignedReceipt.Bundle", "Infrastructure.Plan", "Plan.Check", "CheckedPlan.Apply", "Slipway.Deliver", "Slipway.DeliverChanged", "Release.Observe", "Release.Wait", "Slipway.Promote", "Slipway.Rollback", "Slipway.Status", "AppStatus.Text", "Slipway.Preview", "Infrastructure.Drift", "Infrastructure.Unlock", "Infrastructure.Ready", "Slipway.WithToolbox", "ToolboxImage.Publish", "Slipway.Drill"},
		// A refusal of the box may be one of chance: the next run may pass.
		"modules/build":   {"Build.Publish", "Build.PublishFolder", "Build.Verify", "Build.Pull", "Build.PullFolder", "Build.Packages", "Build.Gateway", "Build.Usage", "GoApp.Binaries", "GoApp.Test"},
		"modules/scan":    {"Scan.DatabaseDigest", "Scan.PublishDatabase"},
		"modules/sign":    {"Sign.Keygen", "Signer.PublicKey", "Signer.Sign", "Signer.Attest", "Verifier.Verify", "Verifier.Bundle", "Verifier.VerifyBundle"},
		"modules/infra":   {"Root.Plan", "Root.Check", "Root.Apply", "Root.Drift", "Root.Unlock"},
		"modules/gitops":  {"Repository.Merged", "Overlay.Release", "Overlay.Promote", "Overlay.Rollback", "Overlay.Preview", "Overlay.History", "Cluster.Wait", "Cluster.Status", "Cluster.Refresh", "Cluster.Admit"},
		"modules/sandbox": {"Sandbox.Publish", "Cluster.Service", "Cluster.Kubeconfig", "Cluster.Argocd", "Cluster.Certificate"},
		"modules/drill":   {"Drill.Seed", "Drill.Tag", "Drill.Resolve", "Drill.Graft", "Sigstore.TrustedRoot", "Sigstore.Token"},
	}
	for _, file := range find(t, "dagger.json") {
		folder := filepath.Dir(file)
		if folder == "." {
			folder = "ci"
		}
		if strings.Contains(folder, "testdata") {
			continue
		}
		policies := cachePolicies(t, folder)
		for _, effect := range effects[folder] {
			assert.Equal(t, never, policies[effect], "%s: %s", folder, effect)
		}
		for name, policy := range policies {
			assert.Contains(t, []string{kept, never}, policy, "%s: %s", folder, name)
			assert.Equal(t, slices.Contains(effects[folder], name), policy == never, "%s: %s is listed here as an effect, or is none", folder, name)
		}
	}
}

// cachePolicies returns the last line of the documentation of every function
// that Dagger sees in a module: Type.Method, and New.
func cachePolicies(t *testing.T, folder string) map[string]string {
	t.Helper()
	sources, err := filepath.Glob(filepath.Join(folder, "*.go"))
	require.NoError(t, err)
	policies := map[string]string{}
	for _, source := range sources {
		if strings.HasSuffix(source, "dagger.gen.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), source, nil, parser.ParseComments)
		require.NoError(t, err)
		for _, declaration := range parsed.Decls {
			function, ok := declaration.(*ast.FuncDecl)
			if !ok || !function.Name.IsExported() {
				continue
			}
			lines := strings.Split(strings.TrimSpace(function.Doc.Text()), "\n")
			policies[receiverOf(function)+function.Name.Name] = lines[len(lines)-1]
		}
	}
	require.NotEmpty(t, policies, folder)
	return policies
}

// A shell between the pipeline and its tools would read names as code.
func TestNothingRunsThroughAShell(t *testing.T) {
	for _, file := range find(t, ".go") {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		assert.NotRegexp(t, `"(ba)?sh", *"-c"`, string(data), file)
	}
}

// The Go SDK looks into what a function returns for an error of the engine, and hands
// that on in place of the whole (v0.21.7): a fault that wrapped one would reach the
// command line without its stage, its input and its mend.
func TestNoFaultOfADaggerModuleWrapsAnError(t *testing.T) {
	folders := []string{"ci"}
	for _, file := range find(t, "dagger.json") {
		folders = append(folders, filepath.Dir(file))
	}
	for _, folder := range folders {
		files, err := filepath.Glob(filepath.Join(folder, "*.go"))
		require.NoError(t, err)
		for _, file := range files {
			if data := readFile(t, file); strings.HasPrefix(data, "package main\n") || strings.Contains(data, "\npackage main\n") {
				assert.NotContains(t, data, ".Because(", file)
			}
		}
	}
}

// find returns the files of the repository whose names end so, without what
// Git ignores.
func find(t *testing.T, suffix string) []string {
	t.Helper()
	var files []string
	require.NoError(t, filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "internal" && strings.HasPrefix(path, "ci/")) {
			return filepath.SkipDir
		}
		if strings.HasSuffix(d.Name(), suffix) {
			files = append(files, path)
		}
		return nil
	}))
	require.NotEmpty(t, files)
	return files
}
