package azure_test

import (
	"flag"
	"testing"

	"slipway/step"
	"slipway/step/azure"
	"slipway/step/azure/azuretest"
	"slipway/step/steptest"
)

func TestAccess(t *testing.T) {
	a := azuretest.Start(t)
	identity, file := a.Identity()
	parse := func(args ...string) (*azure.Credential, error) {
		var who azure.Access
		set := flag.NewFlagSet("test", flag.ContinueOnError)
		who.Flags(set)
		if err := set.Parse(args); err != nil {
			t.Fatal(err)
		}
		return who.Open("plan")
	}
	if c, err := parse(); c != nil || err != nil {
		t.Error("nobody is asked for", c, err)
	}
	c, err := parse("--azure", identity.String(), "--azure-token-file", file)
	if err != nil || c.Identity().ClientID != azuretest.Client {
		t.Error(c, err)
	}
	for name, args := range map[string][]string{
		"--azure": {"--azure-token-file", file}, "Azure token": {"--azure", identity.String(), "--azure-token-file", file + "x"},
	} {
		_, err := parse(args...)
		if f := steptest.Refused(t, err); f.Kind != step.KindInput || f.Stage != "plan" || f.Input != name {
			t.Error(err)
		}
	}
	if _, err := parse("--azure", "{", "--azure-token-file", file); err == nil {
		t.Error("half an identity is one")
	}
}
