package code

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclparse"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"slipway/step"
)

// file is one of Terraform's, read.
type file struct {
	*hcl.File
	// name is its path from the code's folder.
	name string
}

// at is a place in it, as refusals name it.
func (f file) at(r *hcl.Range) string {
	if r == nil || r.Start.Line == 0 {
		return "code " + f.name
	}
	return fmt.Sprintf("code %s:%d", f.name, r.Start.Line)
}

// each visits the files that Terraform reads in a folder of dir. One that can't be read
// is refused: nobody can tell what it does.
func each(stage, dir, folder string, visit func(file) error) error {
	entries, err := os.ReadDir(filepath.Join(dir, filepath.FromSlash(folder)))
	if err != nil {
		return err
	}
	parser := hclparse.NewParser()
	for _, e := range entries {
		f := file{name: path.Join(folder, e.Name())}
		read := parser.ParseHCLFile
		switch {
		case e.IsDir() || !terraform(e.Name()):
			continue
		case strings.HasSuffix(e.Name(), ".json"):
			read = parser.ParseJSONFile
		}
		var problems hcl.Diagnostics
		if f.File, problems = read(filepath.Join(dir, filepath.FromSlash(f.name))); problems.HasErrors() {
			return step.Input(stage, f.at(problems[0].Subject), "can't be read: "+diagnosis(problems[0]), "mend the file: what can't be read can't be judged")
		}
		if err := visit(f); err != nil {
			return err
		}
	}
	return nil
}

// terraform reports whether a file of this name holds Terraform code.
func terraform(name string) bool { return strings.HasSuffix(strings.TrimSuffix(name, ".json"), ".tf") }

// walk visits the expressions of a file. Of JSON, any text may be a template, names
// too: line is set to where it is.
func (f file) walk(stage string, w hclsyntax.Walker, line *int) error {
	if native, ok := f.Body.(*hclsyntax.Body); ok {
		_ = hclsyntax.Walk(native, w)
		return nil
	}
	for decoder := json.NewDecoder(bytes.NewReader(f.Bytes)); ; {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		*line = 1 + bytes.Count(f.Bytes[:decoder.InputOffset()], []byte("\n"))
		if err != nil {
			return step.Input(stage, f.at(&hcl.Range{Start: hcl.Pos{Line: *line}}), "is no JSON: "+err.Error(), "mend the file")
		}
		if words, ok := token.(string); ok {
			if err := f.template(stage, words, *line, w); err != nil {
				return err
			}
		}
	}
}

// template visits the expressions of a template at a line.
func (f file) template(stage, words string, line int, w hclsyntax.Walker) error {
	expression, problems := hclsyntax.ParseTemplate([]byte(words), f.name, hcl.InitialPos)
	if problems.HasErrors() {
		return step.Input(stage, f.at(&hcl.Range{Start: hcl.Pos{Line: line}}), "holds a template that can't be read: "+diagnosis(problems[0]), "mend it; $${ and %%{ stand for themselves")
	}
	_ = hclsyntax.Walk(expression, w)
	return nil
}
