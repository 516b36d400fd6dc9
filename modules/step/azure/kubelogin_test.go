package azure_test

import (
	"strings"
	"testing"

	"slipway/step"
	"slipway/step/azure"
	"slipway/step/azure/azuretest"
)

// Only AKS's kubelogin is somebody whose place an identity takes, and only of its tenant.
func TestWhosePlaceAnIdentityTakes(t *testing.T) {
	who := open(t, azuretest.Start(t), nil)
	var nobody *azure.Credential
	tenant := who.Identity().TenantID
	for name, c := range map[string]struct {
		who     *azure.Credential
		command string
		args    []string
		reason  string
	}{
		"kubelogin":             {who, "kubelogin", []string{"get-token"}, ""},
		"by its path":           {who, `C:\bin\kubelogin.exe`, []string{"get-token"}, ""},
		"AKS's server":          {who, "kubelogin", []string{"get-token", "--server-id", azure.Kubernetes}, ""},
		"its tenant":            {who, "/bin/kubelogin", []string{"get-token", "--login", "x", "-t", tenant}, ""},
		"the last one":          {who, "kubelogin", []string{"get-token", "-t=x", "--tenant-id=" + tenant}, ""},
		"nobody":                {nobody, "kubelogin", []string{"get-token"}, "nobody is named who signs in to Azure"},
		"another program":       {who, "kubelogin.sh", []string{"get-token"}, `the program "kubelogin.sh"`},
		"nobody, for another":   {nobody, "sh", []string{"get-token"}, `the program "sh"`},
		"no command":            {who, "kubelogin", nil, `the program "kubelogin"`},
		"another command":       {who, "kubelogin", []string{"remove-tokens", "get-token"}, `the program "kubelogin"`},
		"another server":        {who, "kubelogin", []string{"get-token", "--server-id", "x"}, `--server-id "x"`},
		"another tenant":        {who, "kubelogin", []string{"get-token", "--tenant-id", "x"}, `--tenant-id "x"`},
		"another, shortly":      {who, "kubelogin", []string{"get-token", "-t", "x"}, `--tenant-id "x"`},
		"an option's end":       {who, "kubelogin", []string{"get-token", "--tenant-id"}, `--tenant-id ""`},
		"the last is another's": {who, "kubelogin", []string{"get-token", "-t", tenant, "--tenant-id=x"}, `--tenant-id "x"`},
	} {
		err := c.who.Kubelogin("plan", "kubeconfig", c.command, c.args)
		if c.reason == "" {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		fault, ok := step.AsFault(err)
		if !ok || fault.Kind != step.KindInput || fault.Input != "kubeconfig" || !strings.Contains(fault.Reason, c.reason) {
			t.Errorf("%s: %v, not %q", name, err, c.reason)
		}
	}
}
