package backend

import (
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slipway/step"
	"slipway/step/reach"
	"slipway/step/steptest"
)

// FuzzRead: a state's description that is accepted has a lock, says nothing that
// is secret, and means one place.
func FuzzRead(f *testing.F) {
	for _, text := range []string{
		`{"address":"http://localhost:3333/state/local/dev","username":"ci"}`, `{"address":"https://s.example/x","lock_address":"https://l.example/x","unlock_method":"PUT"}`,
		`{"type":"kubernetes","namespace":"a","secret_suffix":"local-dev"}`, `{"type":"azurerm","storage_account_name":"acme","container_name":"states","key":"a/b.tfstate"}`,
		`{"address":"https://u:p@s.example/x"}`, `{"address":"http://localhost.evil.test/x"}`, `{"address":"http://127.1/x"}`, `{"address":"https://s.example/x#dev"}`, `{"address":"https://:1/x"}`,
		`{"address":"https://s.example/x","address":"http://evil.test/"}`, `{"type":"kubernetes","namespace":"a","secret_suffix":"local-2"}`, `{"Type":"azurerm","type":"http","address":"https://s/"}`,
		`{"type":"azurerm","storage_account_name":"acme","container_name":"states","key":"a//b"}`, `{"type":null,"address":"https://s"}`, `{"address":"HTTPS://s.example"}`, `{}{}`, `null`, `[]`, ``,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		file := filepath.Join(t.TempDir(), "backend.json")
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := Read("plan", file)
		if err != nil {
			if fault := steptest.Refused(t, err); fault.Kind != step.KindInput || fault.Stage != "plan" || !strings.HasPrefix(fault.Input, "backend config") {
				t.Fatal(err)
			}
			return
		}
		u, err := url.Parse(c.Address())
		if err != nil || u.User != nil || u.Fragment != "" || u.Host == "" {
			t.Fatalf("address %q: %v", c.Address(), err)
		}
		override, err := c.Override()
		if err != nil || !json.Valid(override) {
			t.Fatalf("%s: %v", override, err)
		}
		env, err := Endpoint{Config: c, Connect: reach.Connections{}, Password: ""}.Env("plan")
		if err != nil {
			t.Fatal(err)
		}
		if c.Type != TypeHTTP {
			return
		}
		for _, address := range []string{c.HTTP.Address, c.HTTP.LockAddress, c.HTTP.UnlockAddress} {
			u, err := url.Parse(address)
			if err != nil || u.Scheme != "https" && !reach.Loopback(u.Hostname()) || u.User != nil || strings.ContainsAny(address, "#\r\n\x00") {
				t.Fatalf("address %q: %v", address, err)
			}
		}
		for name, value := range env {
			if value == "" && name != "TF_HTTP_PASSWORD" || strings.ContainsRune(value, 0) {
				t.Fatalf("%s is %q", name, value)
			}
		}
	})
}

// FuzzVariables: only ARM_* variables are set, each to what its line says, and no
// value is in a refusal.
func FuzzVariables(f *testing.F) {
	for _, text := range []string{
		"ARM_CLIENT_ID=a\nARM_CLIENT_SECRET=b=c\n", "# note\r\n\r\nARM_X=1\r\n", "PATH=hush", "ARM_=hush", "ARM_A=hush\nARM_A=hush", "ARM_a=hush", "=hush", "ARM_A", "ARM_A =hush", "ARM_A=\x00hush", "export ARM_A=hush", "",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		env, err := Variables("plan", text)
		if err != nil {
			if fault := steptest.Refused(t, err); env != nil || fault.Kind != step.KindInput || strings.Contains(err.Error(), "hush") && !strings.Contains(text, "ARM_HUSH") {
				t.Fatal(err)
			}
			return
		}
		for name, value := range env {
			if !strings.HasPrefix(name, "ARM_") || strings.ContainsAny(name, "= \x00") || strings.ContainsAny(value, "\n\x00") || !strings.Contains(text, name+"="+value) {
				t.Fatalf("%s is %q", name, value)
			}
		}
	})
}
