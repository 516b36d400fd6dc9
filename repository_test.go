// Package slipway_test holds the repository as a whole to its own rules.
package slipway_test

import (
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
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
	Dagger  string                       `yaml:"dagger"`
	Modules map[string]map[string]string `yaml:"modules"`
	System  map[string]string            `yaml:"system"`
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
	heavy := []string{"github.com/aquasecurity/", "github.com/argoproj/", "github.com/hashicorp/", "github.com/sigstore/", "github.com/google/go-containerregistry", "k8s.io/", "sigs.k8s.io/"}
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

// An effect without this annotation is kept for days and silently does
// nothing. Every function that touches a remote takes a service or ends in
// one of these names.
func TestEffectsAreNeverCached(t *testing.T) {
	effects := map[string][]string{
		"ci/image.go":           {"Scan(", "Report(", "PublishDatabase("},
		"ci/published.go":       {"Publish(", "Sign("},
		"ci/signed.go":          {"Verify(", "Release("},
		"ci/infra.go":           {"Plan(", "Check(", "Apply("},
		"ci/deliver.go":         {"Deliver("},
		"modules/build/main.go": {"Publish(", "Verify("},
		"modules/scan/main.go":  {"DatabaseDigest(", "PublishDatabase("},
		"modules/sign/main.go":  {"Keygen(", "Sign(", "Attest(", "Verify("},
		"modules/infra/main.go": {"Plan(", "Check(", "Apply("},
		"modules/gitops/main.go": {
			"Release(",
		},
	}
	for file, names := range effects {
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, name := range names {
			found := false
			lines := strings.Split(string(data), "\n")
			for i, line := range lines {
				if strings.HasPrefix(line, "func (") && strings.Contains(line, ") "+name) {
					found = true
					assert.Equal(t, `// +cache="never"`, lines[i-1], "%s: %s", file, name)
				}
			}
			assert.True(t, found, "%s has no function %s", file, name)
		}
	}
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
