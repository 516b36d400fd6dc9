package code

import (
	"maps"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestWhatTheCodeItselfMarksIsKnown(t *testing.T) {
	files := map[string]string{
		"main.tf": `
variable "a" {
  sensitive = true
  default   = { b = ["default-a"], c = 4711 }
}
variable "open" { default = "open" }
variable "d" { sensitive = true }
locals {
  x = sensitive("literal")
  y = sensitive("${var.d}-more")
}
module "m" {
  source = "./m"
  token  = "given"
  open   = "too"
}
`,
		"terraform.tfvars": "d = \"from-tfvars\"\n", "x.auto.tfvars.json": `{"d": "from-auto", "open": "other"}`,
		"m/main.tf": "variable \"token\" {\n  sensitive = true\n}\nvariable \"open\" {}\n",
	}
	dir := tree(t, files)
	last := filepath.Join(t.TempDir(), "dev.tfvars.json")
	require.NoError(t, os.WriteFile(last, []byte(`{"d": "last"}`), 0o600))
	values, complete, err := Sensitive("plan", dir, ".", []string{last})
	require.NoError(t, err)
	assert.ElementsMatch(t, []string{"default-a", "4711", "from-tfvars", "from-auto", "last", "literal", "last-more", "given"}, values)
	assert.True(t, complete)

	more := maps.Clone(files)
	more["more.tf"] = "module \"default\" {\n  source = \"./m\"\n}\nmodule \"nowhere\" {\n  token = \"no secret\"\n}\n"
	more["m/main.tf"] += "variable \"more\" {\n  sensitive = true\n}\n"
	same, complete, err := Sensitive("plan", tree(t, more), ".", []string{last})
	require.NoError(t, err)
	assert.ElementsMatch(t, values, same, "what is not given says nothing")
	assert.True(t, complete)

	for name, text := range map[string]string{
		"a data source":      `data "x" "y" {}`,
		"an ephemeral value": `ephemeral "x" "y" {}`,
		"a check":            "check \"x\" {\n  data \"x\" \"y\" {}\n}\n",
		"a function":         `locals { z = sensitive(timestamp()) }`,
		"a module's":         "module \"n\" {\n  source = \"./m\"\n  token = terraform_data.x.output\n}\n",
		"as JSON":            `{"locals": {"z": "${sensitive(terraform_data.x.output)}"}}`,
	} {
		t.Run(name, func(t *testing.T) {
			more := maps.Clone(files)
			more["more.tf"] = text
			if text[0] == '{' {
				more["more.tf.json"] = text
				delete(more, "more.tf")
			}
			_, complete, err := Sensitive("plan", tree(t, more), ".", nil)
			require.NoError(t, err)
			assert.False(t, complete)
		})
	}
}
