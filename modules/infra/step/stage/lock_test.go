package stage

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/dirhash"

	"slipway/step"
)

const azurerm = "registry.terraform.io/hashicorp/azurerm"

// mirrored puts a provider, which is not run, into a mirror, and returns its hash.
func mirrored(t *testing.T, mirror, address, version string) string {
	t.Helper()
	folder := filepath.Join(mirror, address, version, "linux_amd64")
	require.NoError(t, os.MkdirAll(folder, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(folder, "terraform-provider-"+filepath.Base(address)+"_v"+version), []byte(address+version), 0o700))
	hash, err := dirhash.HashDir(folder, "", dirhash.Hash1)
	require.NoError(t, err)
	return hash
}

// initialised is what init says of code that needs a provider, with a lock file.
func initialised(t *testing.T, mirror, source, lock string) (err error) {
	t.Helper()
	s := newSite(t)
	s.write(filepath.Join(s.code, "provider.tf"), "terraform {\n  required_providers {\n    azurerm = {\n      source  = \""+source+"\"\n      version = \"~> 5.0\"\n    }\n  }\n}\n")
	s.write(filepath.Join(s.code, ".terraform.lock.hcl"), lock)
	o := s.common("dev")
	o.Providers = mirror
	w, err := o.open(context.Background(), StageCheck, nil, anyCode)
	require.NoError(t, err)
	defer w.close(&err)
	return w.Init(context.Background(), false)
}

func entry(address, version, hashes string) string {
	if hashes == "" {
		return "provider \"" + address + "\" {\n  version = \"" + version + "\"\n}\n"
	}
	return "provider \"" + address + "\" {\n  version = \"" + version + "\"\n  constraints = \"~> 5.0\"\n  hashes = [" + hashes + "]\n}\n"
}

// Terraform and OpenTofu alike: -terraform runs the other one. Alone, OpenTofu
// refuses a lock of Terraform's for providers of hashicorp.
func TestALockIsForTerraformAndOpenTofu(t *testing.T) {
	mirror := t.TempDir()
	hash := mirrored(t, mirror, azurerm, "5.2.0")
	mirrored(t, mirror, azurerm, "5.3.0")
	const other = "registry.opentofu.org/hashicorp/azurerm"
	another := mirrored(t, mirror, other, "5.2.0")
	const wrong = `"h1:GeZufZ8Trj1/nOxjhV7aCS9s7dvQp1MEAC8SB8UcZwc="`
	require.NoError(t, initialised(t, mirror, azurerm, entry(azurerm, "5.2.0", `"`+hash+`"`)))
	require.NoError(t, initialised(t, mirror, azurerm, entry(azurerm, "5.2.0", `"zh:00", "`+hash+`"`)), "hashes of other platforms")
	require.NoError(t, initialised(t, mirror, other, entry(other, "5.2.0", `"`+another+`"`)))
	require.NoError(t, initialised(t, mirror, azurerm, entry(azurerm, "5.2.0", `"`+hash+`"`)+entry(other, "5.2.0", `"`+another+`"`)), "what is not needed stays out of it")

	for name, c := range map[string]struct{ source, lock, detail string }{
		"another registry's":   {azurerm, entry(other, "5.2.0", `"`+another+`"`), azurerm + ": is not in it"},
		"none of it":           {azurerm, "", azurerm + ": is not in it"},
		"no hash":              {azurerm, entry(azurerm, "5.2.0", ""), azurerm + " 5.2.0: has no hash in it"},
		"another one's hash":   {azurerm, entry(azurerm, "5.2.0", wrong), ""},
		"another version":      {azurerm, entry(azurerm, "4.9.0", `"`+hash+`"`), ""},
		"no lock":              {azurerm, "provider {}\n", ""},
		"a version of nothing": {azurerm, "provider \"" + azurerm + "\" {\n  version = 5\n}\n", ""},
		"hashes of nothing":    {azurerm, "provider \"" + azurerm + "\" {\n  version = \"5.2.0\"\n  hashes = {}\n}\n", ""},
		"twice":                {azurerm, entry(azurerm, "5.2.0", `"`+hash+`"`) + entry(azurerm, "5.2.0", `"`+hash+`"`), ""},
	} {
		t.Run(name, func(t *testing.T) {
			f := wantFault(t, initialised(t, mirror, c.source, c.lock), "check", step.KindInput, "")
			assert.Contains(t, f.Input, ".terraform.lock.hcl")
			assert.Contains(t, f.Mend, "terraform providers lock -platform=linux_amd64 ")
			if c.detail != "" {
				assert.Contains(t, f.Details, c.detail)
			}
		})
	}
}
