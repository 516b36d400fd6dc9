package azure_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

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

func TestACredentialForAClusterEndsBeforeItsToken(t *testing.T) {
	a := azuretest.Start(t)
	who := open(t, a, nil)
	data, err := who.ExecCredential(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	token, err := who.Token(t.Context(), azure.Kubernetes)
	if err != nil {
		t.Fatal(err)
	}
	var given struct {
		APIVersion, Kind string
		Status           struct {
			Token               string
			ExpirationTimestamp time.Time
		}
	}
	if err := json.Unmarshal(data, &given); err != nil {
		t.Fatal(err)
	}
	if given.APIVersion != azure.ExecVersion || given.Kind != "ExecCredential" || given.Status.Token != token.Value {
		t.Errorf("got %s", data)
	}
	if ends := given.Status.ExpirationTimestamp; !ends.After(a.Now()) || !ends.Before(a.Now().Add(a.Life)) {
		t.Errorf("it ends at %v, its token at %v", ends, a.Now().Add(a.Life))
	}

	stopped, stop := context.WithCancel(t.Context())
	stop()
	if data, err := open(t, a, nil).ExecCredential(stopped); err == nil || data != nil {
		t.Errorf("got %s, %v", data, err)
	}
}

func TestWhoMayNotPushIsNamed(t *testing.T) {
	a := azuretest.Start(t)
	who := open(t, a, nil)
	id := who.Identity().ClientID
	f := refused(t, a, who.Denied("repository apps/hello", io.EOF), step.KindInput, "is not for the identity "+id+": its role does not permit this")
	if f.Stage != "publish" || f.Input != "repository apps/hello" || !strings.Contains(f.Mend, "give the identity "+id+" a role on the registry") || !errors.Is(f, io.EOF) {
		t.Errorf("got %#v", f)
	}
}
