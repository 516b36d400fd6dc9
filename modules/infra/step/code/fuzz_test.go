package code

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2/hclparse"

	"slipway/step"
	"slipway/step/result/infra"
	"slipway/step/steptest"
)

// FuzzCheck: code that passes does so no longer once it says where its
// state is.
func FuzzCheck(f *testing.F) {
	for _, text := range []string{
		"terraform {\n}\n", "terraform {\n  backend \"http\" {}\n}\n", "terraform {{\n", "terraform { backend \"local\" {} }\n", "terraform {\n  cloud {}\n}\n", "terraform {\n  backend {}\n}\n",
		"terraform {\n  backend \"http\" \"x\" {}\n}\n", "/* terraform {\n", "x = <<EOT\nterraform {}\nEOT\n", "resource \"terraform\" \"backend\" {}\n", "terraform \"x\" {\n  backend \"local\" {}\n}\n",
		"# x\r\nlocals {\r\n  a = \"${b}\"\r\n}", "\xef\xbb\xbfterraform {}\n", "terraform = 1\n", "",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		check := func(data []byte) error {
			if err := os.WriteFile(filepath.Join(dir, "main.tf"), data, 0o600); err != nil {
				t.Fatal(err)
			}
			return Check("plan", dir, ".", infra.Allowed{})
		}
		if err := check(data); err != nil {
			if fault := steptest.Refused(t, err); fault.Kind == step.KindInfrastructure || !strings.HasPrefix(fault.Input, "code main.tf") {
				t.Fatal(err)
			}
			return
		}
		if !utf8.Valid(data) {
			return // what is added may become a part of the last name
		}
		for _, block := range []string{`backend "local" {}`, `cloud {}`, "backend \"http\" {\n    address = \"https://x.example\"\n  }"} {
			more := append([]byte(string(data)+"\n"), "terraform {\n  "+block+"\n}\n"...)
			if _, diagnostics := hclparse.NewParser().ParseHCL(more, "main.tf"); diagnostics.HasErrors() {
				continue // Terraform refuses it
			}
			if err := check(more); err == nil {
				t.Fatalf("passes: %q", more)
			}
		}
	})
}
