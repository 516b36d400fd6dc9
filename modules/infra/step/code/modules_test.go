package code

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/step"
)

func module(source string) string { return "module \"m\" {\n  source = " + source + "\n}\n" }

func TestAPlanIsBoundToTheModulesThatItsRootReaches(t *testing.T) {
	files := map[string]string{
		"root/main.tf":                      module(`"../modules/a"`),
		"root/environments/dev.tfvars.json": "{}",
		"root/own/main.tf":                  module(`"../../modules/c"`),
		"root/more.tf.json":                 `{"module": {"n": {"source": "./own"}}}`,
		"modules/a/main.tf":                 module(`"../b"`),
		"modules/b/main.tf":                 module(`"../a"`),
		"modules/b/data/x.txt":              "x",
		"modules/c/main.tf":                 "# c\n",
		"modules/unused/main.tf":            module(`"git::https://example.com/x.git"`),
		"other/main.tf":                     "# other root\n",
	}
	dir, to := tree(t, files), filepath.Join(t.TempDir(), "copy")
	before, err := Copy("plan", dir, "root", to)
	require.NoError(t, err)
	for name := range files {
		file := filepath.Join(to, name)
		if name == "modules/unused/main.tf" || name == "other/main.tf" {
			assert.NoFileExists(t, file)
		} else {
			assert.FileExists(t, file)
		}
	}
	for name, part := range map[string]bool{
		"modules/b/data/x.txt": true, "modules/c/main.tf": true, "root/main.tf": true, "modules/unused/main.tf": false, "other/main.tf": false,
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(dir, name)
			require.NoError(t, os.WriteFile(file, []byte(files[name]+"#"), 0o600))
			t.Cleanup(func() { require.NoError(t, os.WriteFile(file, []byte(files[name]), 0o600)) })
			after, err := Copy("plan", dir, "root", filepath.Join(t.TempDir(), "copy"))
			require.NoError(t, err)
			assert.Equal(t, part, before != after)
		})
	}
}

func TestModulesFromElsewhereAreRefused(t *testing.T) {
	for source, reason := range map[string]string{
		`"git::https://example.com/x.git"`: "takes a module from elsewhere",
		`"terraform-aws-modules/vpc/aws"`:  "takes a module from elsewhere",
		`"https://example.com/x.zip"`:      "takes a module from elsewhere",
		`"/etc"`:                           "takes a module from elsewhere",
		`"modules/a"`:                      "takes a module from elsewhere",
		`""`:                               "takes a module from elsewhere",
		`"../../outside"`:                  "from outside of the infrastructure's code",
		`"../modules/../../../etc"`:        "from outside of the infrastructure's code",
		`"../modules/none"`:                "which is not a folder",
		`"../modules/a/main.tf"`:           "which is not a folder",
		`var.source`:                       "from where nobody can tell",
		`"../modules/${var.x}"`:            "from where nobody can tell",
		`null`:                             "from where nobody can tell",
		`5`:                                "from where nobody can tell",
		`["../modules/a"]`:                 "from where nobody can tell",
		`"\u001b[2J../modules/a"`:          "takes a module from elsewhere",
		`"../modules/empty"`:               "holds no Terraform file",
		`"../modules/linked"`:              "symbolic link",
		`"../modules/through"`:             "from elsewhere",
		`"../links/a"`:                     "symbolic link",
	} {
		t.Run(source, func(t *testing.T) {
			dir := tree(t, map[string]string{
				"root/main.tf": "\n" + module(source), "modules/a/main.tf": "", "modules/empty/x.txt": "",
				"modules/through/main.tf": module(`"example/x/y"`),
			})
			require.NoError(t, os.Symlink("a", filepath.Join(dir, "modules", "linked")))
			require.NoError(t, os.Symlink("modules", filepath.Join(dir, "links")))
			_, err := Copy("plan", dir, "root", filepath.Join(t.TempDir(), "copy"))
			f, ok := step.AsFault(err)
			require.True(t, ok, "%v", err)
			assert.Equal(t, step.KindInput, f.Kind)
			assert.Contains(t, f.Reason, reason)
			assert.NotEmpty(t, f.Mend)
			assert.NotContains(t, f.Error(), "\x1b")
		})
	}
}

func TestTheRootIsAFolderOfTheCode(t *testing.T) {
	dir := tree(t, map[string]string{"root/main.tf": ""})
	for _, folder := range []string{"..", "../x", "/etc", "root/../..", "none", "root/main.tf"} {
		_, err := Copy("plan", dir, folder, filepath.Join(t.TempDir(), "copy"))
		f, ok := step.AsFault(err)
		require.True(t, ok, "%s: %v", folder, err)
		assert.Contains(t, f.Reason, "is not a folder", folder)
	}
}
