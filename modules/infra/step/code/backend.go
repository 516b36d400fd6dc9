package code

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclparse"

	"slipway/step"
)

const noBackend = `declare backend "http" {} in the code, with nothing in it, or no backend at all`

// CheckBackend refuses a root that says itself where its state is: it would be
// overridden, and the code would say what is not so. What doesn't parse is left
// for Terraform to refuse.
func CheckBackend(stage, dir string) error {
	return each(dir, func(name string, body hcl.Body) error { return checkBackend(stage, name, body) })
}

// each visits the root's files, as far as they can be read as HCL: what can't,
// Terraform refuses.
func each(dir string, visit func(name string, body hcl.Body) error) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	parser := hclparse.NewParser()
	for _, e := range entries {
		var file *hcl.File
		path := filepath.Join(dir, e.Name())
		switch {
		case strings.HasSuffix(e.Name(), ".tf"):
			file, _ = parser.ParseHCLFile(path)
		case strings.HasSuffix(e.Name(), ".tf.json"):
			file, _ = parser.ParseJSONFile(path)
		}
		if file == nil || file.Body == nil {
			continue
		}
		if err := visit(e.Name(), file.Body); err != nil {
			return err
		}
	}
	return nil
}

func checkBackend(stage, name string, body hcl.Body) error {
	root, _, _ := body.PartialContent(&hcl.BodySchema{Blocks: []hcl.BlockHeaderSchema{{Type: "terraform"}}})
	for _, block := range root.Blocks {
		inner, _, _ := block.Body.PartialContent(&hcl.BodySchema{Blocks: []hcl.BlockHeaderSchema{
			{Type: "backend", LabelNames: []string{"type"}}, {Type: "cloud"},
		}})
		for _, b := range inner.Blocks {
			at := fmt.Sprintf("code %s:%d", name, b.DefRange.Start.Line)
			if b.Type == "cloud" {
				return step.Input(stage, at, "keeps its state in HCP Terraform", noBackend)
			}
			if b.Labels[0] != "http" {
				return step.Input(stage, at, fmt.Sprintf("declares the backend %q", b.Labels[0]), noBackend)
			}
			settings, _ := b.Body.JustAttributes()
			for setting := range settings {
				return step.Input(stage, at, "sets "+setting+" of its backend", noBackend)
			}
		}
	}
	return nil
}
