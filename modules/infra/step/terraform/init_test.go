package terraform

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	tfjson "github.com/hashicorp/terraform-json"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/infra/step/backend"
	"slipway/step"
)

const azurerm = `provider "registry.terraform.io/hashicorp/azurerm" {
  version     = "5.2.0"
  constraints = "~> 5.0"
  hashes = [
    "h1:a",
    "zh:b",
  ]
}
`

// copied is a Terraform whose working copy has a lock file; empty for none.
func copied(t *testing.T, lock string) *Terraform {
	t.Helper()
	tf := &Terraform{o: Options{Stage: "plan", Dir: t.TempDir(), Progress: &bytes.Buffer{}}}
	lockTo(t, tf, lock)
	return tf
}

func lockTo(t *testing.T, tf *Terraform, lock string) {
	t.Helper()
	if lock != "" {
		require.NoError(t, os.WriteFile(filepath.Join(tf.o.Dir, lockFile), []byte(lock), 0o600))
	}
}

func TestALockFileIsRead(t *testing.T) {
	all, err := copied(t, "").readLock()
	require.NoError(t, err)
	assert.Nil(t, all)
	all, err = copied(t, azurerm+"provider \"registry.terraform.io/acme/x\" {\n  version = \"1.0.0\"\n}\n").readLock()
	require.NoError(t, err)
	assert.Equal(t, map[string]locked{"registry.terraform.io/hashicorp/azurerm": {"5.2.0", []string{"h1:a", "zh:b"}}, "registry.terraform.io/acme/x": {version: "1.0.0"}}, all)
	provider := func(body string) string { return azurerm + "provider \"x\" {\n" + body + "\n}\n" }
	for name, lock := range map[string]string{
		"no HCL": "provider {{", "another block": azurerm + "module \"x\" {}\n", "no name": "provider {}\n", "a provider twice": azurerm + azurerm,
		"no version": provider(`hashes = []`), "something else": provider("version = \"1\"\n  other = 1"), "a number": provider("version = 1"), "no text": provider("version = null"),
		"two versions": provider(`version = ["1", "2"]`), "a variable": provider("version = var.x"), "hashes that are none": provider("version = \"1\"\n  hashes = 5"),
		"a hash that is none": provider("version = \"1\"\n  hashes = [\"h1:a\", 5]"), "a hash that is null": provider("version = \"1\"\n  hashes = [\"h1:a\", null]"), "hashes of nothing": provider("version = \"1\"\n  hashes = null"),
		"hashes of a variable": provider("version = \"1\"\n  hashes = [var.x]"),
	} {
		tf := copied(t, lock)
		all, err := tf.readLock()
		f := wantFault(t, err, step.KindInput)
		assert.Equal(t, []string{"code " + lockFile, "can't be read"}, []string{f.Input, f.Reason}, name)
		assert.Nil(t, all)
		wantFault(t, tf.checkLock(nil), step.KindInput)
	}
}

func TestNothingIsInstalledBeyondTheLock(t *testing.T) {
	const x = "registry.terraform.io/acme/x"
	const name = "registry.terraform.io/hashicorp/azurerm"
	whole := map[string]locked{name: {"5.2.0", []string{"h1:a", "zh:b"}}, x: {"1.0.0", []string{"h1:c"}}}
	for what, c := range map[string]struct {
		before map[string]locked
		after  string
		detail string
	}{
		"the same":            {map[string]locked{name: whole[name]}, azurerm, ""},
		"less":                {whole, azurerm, ""},
		"nothing":             {nil, "", ""},
		"a hash of more":      {map[string]locked{name: {"5.2.0", []string{"zh:b"}}}, azurerm, ""},
		"one without a lock":  {nil, azurerm, name + ": is not in it"},
		"another":             {map[string]locked{x: whole[x]}, azurerm, name + ": is not in it"},
		"another version":     {map[string]locked{name: {"5.1.0", []string{"h1:a"}}}, azurerm, name + ": is locked at 5.1.0, and 5.2.0 was taken"},
		"one without a hash":  {map[string]locked{name: {"5.2.0", nil}}, azurerm, name + " 5.2.0: has no hash in it"},
		"other hashes":        {map[string]locked{name: {"5.2.0", []string{"h1:z"}}}, azurerm, name + " 5.2.0: was taken with other hashes"},
		"a hash that is gone": {map[string]locked{name: {"5.2.0", []string{"h1:a", "h1:z"}}}, azurerm, name + " 5.2.0: was taken with other hashes"},
		"the second of two":   {whole, azurerm + "provider \"" + x + "\" {\n  version = \"2.0.0\"\n}\n", x + ": is locked at 1.0.0, and 2.0.0 was taken"},
		"the first of two":    {map[string]locked{name: whole[name]}, azurerm + "provider \"" + x + "\" {\n  version = \"2.0.0\"\n}\n", x + ": is not in it"},
	} {
		err := copied(t, c.after).checkLock(c.before)
		if c.detail == "" {
			require.NoError(t, err, what)
			continue
		}
		f := wantFault(t, err, step.KindInput)
		assert.Equal(t, "does not hold what the code needs", f.Reason)
		assert.Equal(t, []string{c.detail}, f.Details, what)
	}
	f := wantFault(t, copied(t, azurerm+"provider \""+x+"\" {\n  version = \"2.0.0\"\n}\n").checkLock(nil), step.KindInput)
	assert.Equal(t, []string{x + ": is not in it", name + ": is not in it"}, f.Details)
}

func TestTheStateIsWhereItWasSaidToBe(t *testing.T) {
	config := backend.Config{Type: backend.TypeKubernetes, Kubernetes: backend.Kubernetes{Namespace: "slipway-system", SecretSuffix: "local-dev"}}
	for name, c := range map[string]struct{ text, reason string }{
		"there":            {`{"backend":{"type":"kubernetes","config":{"namespace":"slipway-system","secret_suffix":"local-dev","config_path":null,"exec":[],"labels":{}}}}`, ""},
		"another type":     {`{"backend":{"type":"http","config":{"namespace":"slipway-system","secret_suffix":"local-dev"}}}`, `is "http", not "kubernetes"`},
		"another name":     {`{"backend":{"type":"kubernetes","config":{"namespace":"slipway-system","secret_suffix":"local-prod"}}}`, "has another secret_suffix"},
		"another place":    {`{"backend":{"type":"kubernetes","config":{"namespace":"other","secret_suffix":"local-dev"}}}`, "has another namespace"},
		"no name":          {`{"backend":{"type":"kubernetes","config":{"namespace":"slipway-system"}}}`, "has another secret_suffix"},
		"a setting more":   {`{"backend":{"type":"kubernetes","config":{"namespace":"slipway-system","secret_suffix":"local-dev","a":null,"b":null,"config_path":"/x","z":null}}}`, "has a config_path of its own"},
		"a switch":         {`{"backend":{"type":"kubernetes","config":{"namespace":"slipway-system","secret_suffix":"local-dev","insecure":false}}}`, "has a insecure of its own"},
		"no state":         {`{}`, `is "", not "kubernetes"`},
		"something else":   {`[]`, "backend of the working copy: "},
		"nothing is there": {"", "backend of the working copy: "},
	} {
		tf := copied(t, "")
		tf.o.Backend = config
		if c.text != "" {
			require.NoError(t, os.Mkdir(filepath.Join(tf.o.Dir, ".terraform"), 0o700))
			require.NoError(t, os.WriteFile(filepath.Join(tf.o.Dir, ".terraform", "terraform.tfstate"), []byte(c.text), 0o600))
		}
		err := tf.checkBackend()
		if c.reason == "" {
			require.NoError(t, err, name)
			continue
		}
		require.ErrorContains(t, err, c.reason, name)
	}
}

// script is a Terraform whose init does what a script says.
func script(t *testing.T, text, lock string) *Terraform {
	t.Helper()
	tf := copied(t, lock)
	tf.path = filepath.Join(t.TempDir(), "terraform")
	require.NoError(t, os.WriteFile(tf.path, []byte("#!/bin/sh\nexport PATH=/usr/bin:/bin\n"+text), 0o700))
	home := t.TempDir()
	tf.env = map[string]string{"HOME": home, "ONE": "1", "TWO": "2"}
	usual := pause
	pause = 0
	t.Cleanup(func() { pause = usual })
	return tf
}

const heldLock = `{"type":"diagnostic","diagnostic":{"severity":"error","summary":"Error loading state","detail":"Lock Info:\n  ID:        6d4e-1\n"}}`

func TestInit(t *testing.T) {
	// It gets the working copy, and an environment that is said wholly.
	tf := script(t, `echo "$@" > args; pwd > where; env > env`, azurerm)
	tf.o.Providers = "/mirror"
	require.NoError(t, tf.Init(t.Context(), false))
	read := func(name string) string {
		data, err := os.ReadFile(filepath.Join(tf.o.Dir, name))
		require.NoError(t, err)
		return strings.TrimSpace(string(data))
	}
	assert.Equal(t, "init -json -no-color -input=false -backend=false -plugin-dir=/mirror", read("args"))
	real, err := filepath.EvalSymlinks(tf.o.Dir)
	require.NoError(t, err)
	assert.Equal(t, real, read("where"))
	for _, line := range []string{"HOME=" + tf.env["HOME"], "ONE=1", "TWO=2", "TF_IN_AUTOMATION=1"} {
		assert.Contains(t, strings.Split(read("env"), "\n"), line)
	}
	tf.o.Providers = ""
	require.NoError(t, tf.Init(t.Context(), false))
	assert.Equal(t, "init -json -no-color -input=false -backend=false", read("args"))

	// Without a lock there is nowhere to take a provider from.
	tf = script(t, `echo "$@" > args`, "")
	tf.o.Providers = "/mirror"
	require.NoError(t, tf.Init(t.Context(), false))
	assert.Equal(t, "init -json -no-color -input=false -backend=false -plugin-dir="+filepath.Join(tf.env["HOME"], "no-providers"), read("args"))
	assert.DirExists(t, filepath.Join(tf.env["HOME"], "no-providers"))
	require.NoError(t, os.Remove(filepath.Join(tf.env["HOME"], "no-providers")))
	require.NoError(t, os.WriteFile(filepath.Join(tf.env["HOME"], "no-providers"), nil, 0o600))
	require.Error(t, tf.Init(t.Context(), false))

	// What it leaves is looked at.
	tf = script(t, `printf 'provider "x" {\n  version = "1"\n}\n' >> `+lockFile, azurerm)
	assert.Equal(t, []string{"x: is not in it"}, wantFault(t, tf.Init(t.Context(), true), step.KindInput).Details)
	tf = script(t, "true", azurerm)
	require.ErrorContains(t, tf.Init(t.Context(), true), "backend of the working copy")
	tf = script(t, `mkdir .terraform; echo '{"backend":{"type":"http","config":{"address":null}}}' > .terraform/terraform.tfstate`, azurerm)
	tf.o.Backend = backend.Config{Type: backend.TypeHTTP}
	require.NoError(t, tf.Init(t.Context(), true))
	tf = script(t, "touch ran", "provider {")
	wantFault(t, tf.Init(t.Context(), true), step.KindInput)
	assert.NoFileExists(t, filepath.Join(tf.o.Dir, "ran"), "an unread lock installs nothing")
}

func TestInitThatFails(t *testing.T) {
	query := `{"type":"diagnostic","diagnostic":{"severity":"error","summary":"Failed to query available provider packages","detail":"x"}}`
	fails := func(diagnostic string) string { return "printf '%s\\n' '" + diagnostic + "'; echo broken >&2; exit 3" }
	f := wantFault(t, script(t, fails(query), "").Init(t.Context(), false), step.KindInput)
	assert.Equal(t, "is missing, but the code needs providers", f.Reason)
	f = wantFault(t, script(t, fails(query), azurerm).Init(t.Context(), false), step.KindInfrastructure)
	assert.Contains(t, f.Mend, "registry")
	tf := script(t, fails(query), azurerm)
	tf.o.Providers = "/mirror"
	assert.Equal(t, "providers", wantFault(t, tf.Init(t.Context(), false), step.KindInput).Input)
	f = wantFault(t, script(t, fails("{}"), azurerm).Init(t.Context(), false), step.KindInfrastructure)
	assert.Equal(t, "failed: exit status 3: broken", f.Reason)

	// A lock that is held is waited for, to the end of the time and no longer.
	tf = script(t, "echo x >> tries; "+fails(heldLock), azurerm)
	f = wantFault(t, tf.Init(t.Context(), true), step.KindInfrastructure)
	assert.Equal(t, "state lock 6d4e-1", f.Input)
	assert.Contains(t, f.Mend, "unlock --id 6d4e-1")
	tries, err := os.ReadFile(filepath.Join(tf.o.Dir, "tries"))
	require.NoError(t, err)
	assert.Equal(t, "x\n", string(tries))
	tf.o.Backend = backend.Config{Type: backend.TypeKubernetes, Kubernetes: backend.Kubernetes{Namespace: "slipway-system", SecretSuffix: "local-dev"}}
	f = wantFault(t, tf.Init(t.Context(), true), step.KindInfrastructure)
	assert.Equal(t, "wait for that run; if it was killed before it could make the state, delete the lease lock-tfstate-default-local-dev in slipway-system", f.Mend)
	tf = script(t, "if test -f tried; then exit 0; fi; touch tried; "+fails(heldLock), azurerm)
	tf.o.LockTimeout = time.Hour
	require.NoError(t, tf.Init(t.Context(), false), "it is given back")

	over, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, script(t, "exit 0", azurerm).Init(over, true), context.Canceled)
	pause = time.Hour
	require.ErrorIs(t, rest(over), context.Canceled)
}

// Each of what Terraform says is looked for, wherever it stands.
func TestFaultsOfSeveralDiagnostics(t *testing.T) {
	cause := errors.New("exit status 1")
	other := diagnostic("other", "", 1, "a.b")
	for _, d := range []tfjson.Diagnostic{other, diagnostic("another", "", 0, "")} {
		for _, summary := range []string{"Saved plan is stale", "Saved plan does not match the given state", "Instance cannot be destroyed", "Resource precondition failed", "Resource postcondition failed", "Module output value precondition failed"} {
			f := wantFault(t, fault("plan", "apply", []tfjson.Diagnostic{d, diagnostic(summary, "", 0, "")}, cause), step.KindPolicy)
			assert.Equal(t, summary, f.Reason)
			assert.Len(t, f.Details, 2)
		}
		f := wantFault(t, fault("plan", "apply", []tfjson.Diagnostic{d, diagnostic(lockSummary, "already locked: ID=abc-1", 0, "")}, cause), step.KindInfrastructure)
		assert.Equal(t, "state lock abc-1", f.Input)
		f = wantFault(t, fault("plan", "apply", []tfjson.Diagnostic{d, diagnostic("x", `ContainerNotFound: y`, 0, "")}, cause), step.KindInput)
		assert.Equal(t, "the state's container does not exist", f.Reason)
		assert.Len(t, f.Details, 2)
	}
	for command, mend := range map[string]string{"plan": "see the reason, then try again", "apply": "see the reason, then plan again: a part may have been applied"} {
		f := wantFault(t, fault("plan", command, []tfjson.Diagnostic{other, diagnostic("second", "", 2, "")}, cause), step.KindInfrastructure)
		assert.Equal(t, []any{"main.tf:1", "other", mend, 2}, []any{f.Input, f.Reason, f.Mend, len(f.Details)})
		assert.Contains(t, f.Details[1], "second")
	}
	for _, summary := range []string{"Failed to query available provider packages", "Failed to resolve provider packages", "Inconsistent dependency lock file", "Provider requirements cannot be satisfied by locked dependencies", "Failed to install provider", "Incompatible provider version"} {
		f := wantFault(t, initFault("plan", []tfjson.Diagnostic{other, diagnostic(summary, "", 0, "")}, false, false, cause), step.KindInput)
		assert.Equal(t, "is missing, but the code needs providers", f.Reason, summary)
	}
	assert.Equal(t, "Lock Info: x", heldBy([]tfjson.Diagnostic{other, diagnostic("Lock Info: x", "y", 0, "")}))
	assert.False(t, IsStale(errors.New("Saved plan is stale")))
}

func TestTheRoleThatPermitsAnAction(t *testing.T) {
	for action, role := range map[string]string{
		"Microsoft.Authorization/roleAssignments/write": "Role Based Access Control Administrator", "microsoft.authorization/roleassignments/delete": "Role Based Access Control Administrator",
		"Microsoft.KeyVault/vaults/keys/sign/action": "Key Vault Crypto User", "Microsoft.KeyVault/vaults/keys/verify/action": "Key Vault Crypto User", "Microsoft.KeyVault/vaults/keys/read": "Key Vault Reader",
		"Microsoft.KeyVault/vaults/keys/create/action": "Key Vault Crypto Officer", "Microsoft.KeyVault/vaults/keyrotationpolicies/write": "Key Vault Crypto Officer",
		"Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read":         "Storage Blob Data Contributor",
		"Microsoft.ContainerService/managedClusters/listClusterUserCredential/action":  "Azure Kubernetes Service Cluster User Role",
		"Microsoft.ContainerService/managedClusters/listClusterAdminCredential/action": "Azure Kubernetes Service Cluster Admin Role",
		"Microsoft.Network/virtualNetworks/read":                                       "Reader",
		"Microsoft.Network/virtualNetworks/write":                                      "Contributor",
	} {
		assert.Equal(t, role, roleFor(action), action)
	}
}
