package terraform

import (
	"encoding/json"
	"errors"
	"os"
	"testing"

	tfjson "github.com/hashicorp/terraform-json"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/step"
)

// said is what terraform validate -json has said of code with azurerm 5.2.
func said(t *testing.T, file string) []tfjson.Diagnostic {
	t.Helper()
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	var out tfjson.ValidateOutput
	require.NoError(t, json.Unmarshal(data, &out))
	require.False(t, out.Valid)
	return out.Diagnostics
}

// The recordings are of e2e/testdata/aks: as it is, and with what the first asks for.
func TestATutorialsClusterIsRefusedWithEachMend(t *testing.T) {
	f := wantFault(t, validateFault("plan", said(t, "testdata/aks/1.json")), step.KindInput)
	assert.Equal(t, "main.tf:3", f.Input)
	assert.Equal(t, []string{
		`main.tf:3: Missing required argument: The argument "location" is required, but no definition was found; mend: add the argument location, which this version of the provider wants`,
		`main.tf:3: Insufficient node_provisioning_profile blocks: At least 1 "node_provisioning_profile" blocks are required; mend: add a block node_provisioning_profile, of which this version of the provider wants 1 or more`,
	}, f.Details)
	assert.Equal(t, "mend each as its line says", f.Mend)

	f = wantFault(t, validateFault("plan", said(t, "testdata/aks/2.json")), step.KindInput)
	assert.Equal(t, []string{
		"main.tf:3: Invalid combination of arguments: \"dns_prefix\": one of `dns_prefix,dns_prefix_private_cluster` must be specified; mend: give one of dns_prefix,dns_prefix_private_cluster",
		"main.tf:3: Invalid combination of arguments: \"dns_prefix_private_cluster\": one of `dns_prefix,dns_prefix_private_cluster` must be specified; mend: give one of dns_prefix,dns_prefix_private_cluster",
	}, f.Details)
}

func TestAnErrorOfTheCodeNamesItsMend(t *testing.T) {
	for _, c := range []struct{ summary, detail, mend string }{
		{"Unsupported argument", `An argument named "enable_auto_scaling" is not expected here.`, "take enable_auto_scaling out, or write it as this version of the provider calls it"},
		{"Unsupported argument", `An argument named "naem" is not expected here. Did you mean "name"?`, "write name in the place of naem"},
		{"Unsupported argument", `An argument named "identity" is not expected here. Did you mean to define a block of type "identity"?`, "write identity as a block: without the equals sign"},
		{"Unsupported block type", `Blocks of type "addon_profile" are not expected here.`, "take the block addon_profile out, or write it as this version of the provider calls it"},
		{"Too many default_node_pool blocks", `No more than 1 "default_node_pool" blocks are allowed`, "keep one block default_node_pool"},
		{"Incorrect attribute value type", `Inappropriate value for attribute "role_based_access_control_enabled": a bool is required.`, "give role_based_access_control_enabled another value: a bool is required"},
		{"Invalid resource type", `The provider hashicorp/azurerm does not support resource type "azurerm_aks".`, "take a resource type of the provider's locked version"},
		{"Reference to undeclared input variable", `An input variable with the name "region" has not been declared.`, "declare the input variable, or mend its name"},
		{`"name" may only contain alphanumeric characters`, "", "write what it asks for"},
	} {
		t.Run(c.summary, func(t *testing.T) {
			for _, err := range []error{
				validateFault("plan", []tfjson.Diagnostic{diagnostic(c.summary, c.detail, 3, "")}),
				fault("plan", "init", []tfjson.Diagnostic{diagnostic(c.summary, c.detail, 3, "")}, errors.New("exit status 1")),
			} {
				f := wantFault(t, err, step.KindInput)
				assert.Equal(t, c.mend, f.Mend)
				assert.Contains(t, f.Details[0], "main.tf:3: ")
				assert.Contains(t, f.Details[0], "; mend: "+c.mend)
			}
		})
	}
}

func TestAnErrorIsToldOnceAndItsAnnouncementNot(t *testing.T) {
	broken := diagnostic("Missing name for resource", "All resource blocks must have 2 labels (type, name).", 5, "")
	f := wantFault(t, fault("plan", "init", []tfjson.Diagnostic{diagnostic("The code has problems, described below", "", 0, ""), broken, broken}, errors.New("exit status 1")), step.KindInput)
	assert.Equal(t, "main.tf:5", f.Input)
	assert.Len(t, f.Details, 1)
}
