package code

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/step"
	"slipway/step/result/infra"
)

// What is refused behind something that passes, or where it is hard to see.
func TestCheckLooksAtEachOfSeveral(t *testing.T) {
	const good = "terraform {\n  required_providers {\n    azurerm = { source = \"hashicorp/azurerm\" }\n  }\n}\n"
	for name, c := range map[string]struct{ text, input, reason string }{
		"a moved block":                 {"moved {\n  from = a.b\n  to   = a.c\n}\n", "", ""},
		"a provider's version":          {good + "provider \"azurerm\" {\n  version = \"5\"\n  features {}\n}\n", "", ""},
		"a module of no source":         {"module \"m\" {}\n", "", ""},
		"a name with an ending":         {"locals { x = [for f in [] : file(\"${path.module}/${basename(f)}.txt\")] }\n", "", ""},
		"a list of one argument":        {"locals { x = fileset(path.module) }\n", "", ""},
		"a template beside its module":  {"module \"m\" { source = \"./m\" }\n", "", ""},
		"a check's second data source":  {"check \"x\" {\n  data \"azurerm_client_config\" \"x\" {}\n  data \"external\" \"y\" {}\n}\n", "code r/main.tf:3", "reads the data source \"external\""},
		"a check of one label":          {"check \"x\" {\n  data \"external\" {}\n}\n", "code r/main.tf:1", "is not understood: "},
		"a backend of no label":         {"terraform {\n  backend {}\n}\n", "code r/main.tf:2", "is not understood: "},
		"a provider as a block":         {"terraform {\n  required_providers {\n    x {}\n  }\n}\n", "code r/main.tf:3", "is not understood: "},
		"a provisioner of no label":     {"resource \"a\" \"b\" {\n  provisioner {}\n}\n", "code r/main.tf:2", "is not understood: "},
		"a backend behind providers":    {"terraform {\n  required_providers {\n  }\n  backend \"s3\" {}\n}\n", "code r/main.tf:4", "declares the backend \"s3\""},
		"providers behind a backend":    {"terraform {\n  backend \"http\" {}\n  required_providers {\n    x = { source = \"evil/x\" }\n  }\n}\n", "code r/main.tf:4", "takes the provider \"registry.terraform.io/evil/x\""},
		"the backend's first setting":   {"terraform {\n  backend \"http\" {\n    username = \"x\"\n    address  = \"y\"\n    lock {}\n  }\n}\n", "code r/main.tf:2", "sets address of its backend"},
		"the second setting":            {"terraform {\n  required_version = \">= 1\"\n  zz {}\n}\n", "code r/main.tf", "has \"zz\" in its terraform block"},
		"a provider's second block":     {good + "provider \"azurerm\" {\n  features {}\n  zz {}\n}\n", "code r/main.tf:6", "sets \"zz\" of provider"},
		"a second file's name":          {"locals { x = [file(\"${path.module}/x.txt\"), file(\"/etc/passwd\")] }\n", "code r/main.tf:1", "calls file for a file that is outside"},
		"a line of JSON":                {"{\"locals\": {\n\"a\": 1,\n\"x\": \"${file(\\\"/etc/passwd\\\")}\"}}", "code r/main.tf.json:3", "calls file for a file that is outside"},
		"a number":                      {"locals { x = file(5) }\n", "code r/main.tf:1", "outside of the code"},
		"nothing":                       {"locals { x = file(null) }\n", "code r/main.tf:1", "outside of the code"},
		"no argument":                   {"locals { x = file() }\n", "code r/main.tf:1", "which may read any file of the run"},
		"a sum":                         {"locals { x = file(1 + 1) }\n", "code r/main.tf:1", "outside of the code"},
		"a choice":                      {"locals { x = file(\"${path.module}/${true ? \"a\" : \"../../b\"}\") }\n", "code r/main.tf:1", "outside of the code"},
		"another function":              {"locals { x = file(\"${path.module}/${trimspace(var.x)}\") }\n", "code r/main.tf:1", "outside of the code"},
		"a basename first":              {"locals { x = file(\"${basename(var.x)}/x.txt\") }\n", "code r/main.tf:1", "outside of the code"},
		"a path behind a path":          {"locals { x = file(\"${path.module}/${path.module}\") }\n", "code r/main.tf:1", "outside of the code"},
		"a name that begins as it":      {"locals { x = file(\"${path.module}x/../../kubeconfig\") }\n", "code r/main.tf:1", "outside of the code"},
		"another's module":              {"locals { x = file(\"${var.module}/x.txt\") }\n", "code r/main.tf:1", "outside of the code"},
		"a part of the path":            {"locals { x = file(\"${path.module.x}/x.txt\") }\n", "code r/main.tf:1", "outside of the code"},
		"a NUL":                         {"locals { x = file(\"${path.module}/x\\u0000.txt\") }\n", "code r/main.tf:1", "outside of the code"},
		"a list that nobody can tell":   {"locals { x = fileset(path.module, var.x) }\n", "code r/main.tf:1", "calls fileset for a file that is outside"},
		"a list from the top":           {"locals { x = fileset(path.module, \"/etc/*\") }\n", "code r/main.tf:1", "calls fileset for a file that is outside"},
		"a template that can be chosen": {"locals { x = templatefile(\"${path.module}/${basename(var.x)}\", {}) }\n", "code r/main.tf:1", "calls templatefile for a file that is outside of the code, or that nobody can tell"},
		"a module's template":           {"module \"m\" { source = \"./bad\" }\n", "code r/bad/t.tpl:2", "calls file, which may read any file"},
		"the second module":             {"module \"m\" { source = \"./m\" }\nmodule \"n\" { source = \"./bad\" }\n", "code r/bad/t.tpl:2", "calls file, which may read any file"},
	} {
		t.Run(name, func(t *testing.T) {
			file := "r/main.tf"
			if c.text[0] == '{' {
				file += ".json"
			}
			dir := tree(t, map[string]string{
				file: c.text, "r/root.tf": "", "r/x.txt": "x", "r/dir.tf/x": "", "r/t.tpl": "${file(\"${path.module}/x\")}",
				"r/m/main.tf": "locals { x = templatefile(\"${path.module}/t.tpl\", {}) }\n", "r/m/t.tpl": "fine",
				"r/bad/main.tf": "locals { x = templatefile(\"${path.module}/t.tpl\", {}) }\n", "r/bad/t.tpl": "first\n${file(\"x\")}",
			})
			err := Check("plan", dir, "./r/", generous)
			if c.reason == "" {
				require.NoError(t, err)
				return
			}
			f, ok := step.AsFault(err)
			require.True(t, ok, "%v", err)
			assert.Equal(t, c.input, f.Input)
			assert.Contains(t, f.Reason, c.reason)
			assert.NotEmpty(t, f.Mend)
		})
	}
}

// A provider that one registry alone is allowed to give.
func TestAProviderOfEitherRegistry(t *testing.T) {
	dir := tree(t, map[string]string{"main.tf": "terraform {\n  required_providers {\n    x = { source = \"acme/x\" }\n  }\n}\n"})
	for registry, ok := range map[string]bool{"registry.terraform.io": true, "registry.opentofu.org": true, "registry.example": false} {
		err := Check("plan", dir, ".", infra.Allowed{Providers: map[string][]string{registry + "/acme/x": {}}})
		assert.Equal(t, ok, err == nil, "%s: %v", registry, err)
	}
}

func TestWhatIsNoCodeIsNeitherCopiedNorRead(t *testing.T) {
	with := map[string]string{"terraform.d/main.tf": "# a", "terraform.d/m/.terraform.tfstate.lock.info": "x", "terraform.d/.terraform.tfstate.lock.info": "x", "terraform.d/m/main.tf": "", "terraform.d/x.tf/y": ""}
	dir, to := tree(t, with), filepath.Join(t.TempDir(), "copy")
	_, err := Copy("plan", dir, "terraform.d", to)
	require.NoError(t, err, "a root may be named so")
	assert.NoFileExists(t, filepath.Join(to, "terraform.d", ".terraform.tfstate.lock.info"))
	assert.NoFileExists(t, filepath.Join(to, "terraform.d", "m", ".terraform.tfstate.lock.info"))
	again, err := Copy("plan", dir, "./terraform.d/", filepath.Join(t.TempDir(), "copy"))
	require.NoError(t, err)
	first, err := Copy("plan", dir, "terraform.d", filepath.Join(t.TempDir(), "copy"))
	require.NoError(t, err)
	assert.Equal(t, first, again)

	// What is there already is not written over, and a copy that fails has no digest.
	for name, spoil := range map[string]string{"a file of its name": filepath.Join("terraform.d", "main.tf"), "a file for a folder": "terraform.d"} {
		to := t.TempDir()
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(to, spoil)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(to, spoil), []byte("kept"), 0o600))
		digest, err := Copy("plan", dir, "terraform.d", to)
		require.ErrorContains(t, err, "copy terraform.d/", name)
		assert.Empty(t, digest)
		kept, err := os.ReadFile(filepath.Join(to, spoil))
		require.NoError(t, err)
		assert.Equal(t, "kept", string(kept))
	}
	require.Error(t, CheckEphemeral("plan", filepath.Join(dir, "none"), nil))
}

// Each module has its own variables, and its own marks.
func TestWhatEachModuleMarksIsKnown(t *testing.T) {
	files := map[string]string{
		"main.tf": "variable \"open\" { default = \"open\" }\nvariable \"shown\" {\n  sensitive = false\n  default   = \"shown\"\n}\nvariable \"none\" {\n  sensitive = true\n  default   = null\n}\n" +
			"variable \"d\" {\n  sensitive = true\n  default   = \"first\"\n}\nlocals { x = sensitive(\"${var.open}-more\") }\n" +
			"module \"a\" {\n  source = \"./m\"\n  token  = \"for-a\"\n}\nmodule \"b\" {\n  source = \"./m\"\n  token  = [\"for-b\", null, 12.50, true]\n}\n",
		"more.tf":   "variable \"token\" {}\n",
		"m/main.tf": "variable \"token\" { sensitive = true }\nlocals { x = core::sensitive(\"in-m\") }\n",
	}
	values, complete, err := Sensitive("plan", tree(t, files), ".", nil)
	require.NoError(t, err)
	assert.ElementsMatch(t, []string{"first", "open-more", "for-a", "for-b", "12.5", "in-m"}, values)
	assert.True(t, complete)

	files["m/more.tf"] = "locals { y = sensitive(var.open) }\n"
	values, complete, err = Sensitive("plan", tree(t, files), ".", nil)
	require.NoError(t, err)
	assert.False(t, complete, "what the root's variable of that name is says nothing of the module's")
	assert.NotContains(t, values, "open")

	for name, c := range map[string]struct {
		folder, file, text string
	}{
		"no folder":           {"none", "more.tf", ""},
		"no template":         {".", "x.tf.json", `{"locals": {"x": "${file("}}`},
		"a module that's not": {".", "x.tf", "module \"z\" { source = \"../x\" }\n"},
	} {
		delete(files, "m/more.tf")
		broken := map[string]string{c.file: c.text, "main.tf": ""}
		values, complete, err := Sensitive("plan", tree(t, broken), c.folder, nil)
		require.Error(t, err, name)
		assert.False(t, complete)
		assert.Empty(t, values)
	}
}
