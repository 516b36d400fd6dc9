package code

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclparse"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"slipway/step"
	"slipway/step/result/infra"
)

// top are the blocks of a Terraform file. What isn't among them (an action, a block of
// a later version) may run something, and is refused.
var top = &hcl.BodySchema{Blocks: []hcl.BlockHeaderSchema{
	{Type: "terraform"}, {Type: "locals"}, {Type: "moved"}, {Type: "removed"}, {Type: "import"},
	{Type: "variable", LabelNames: []string{"name"}}, {Type: "output", LabelNames: []string{"name"}},
	{Type: "module", LabelNames: []string{"name"}}, {Type: "provider", LabelNames: []string{"name"}}, {Type: "check", LabelNames: []string{"name"}},
	{Type: "resource", LabelNames: []string{"type", "name"}}, reader("data"), reader("ephemeral"),
}}

func reader(kind string) hcl.BlockHeaderSchema {
	return hcl.BlockHeaderSchema{Type: kind, LabelNames: []string{"type", "name"}}
}

const (
	allowMend = "do without it, or have the platform's owner allow it: infra.allow of slipway.yaml"
	noBackend = `declare backend "http" {} in the code, with nothing in it, or no backend at all`
	ownRun    = "take it out: where the state is, how it is kept and what Terraform may do is said by the run"
)

// Check refuses code, in a folder of dir and in the modules that it reaches, that uses
// more than is allowed of what runs before its plan can be checked: providers and their
// settings, data sources, provisioners, files outside of the code, a backend. What can't
// be read, or not be told before it runs, is refused.
func Check(stage, dir, folder string, allowed infra.Allowed) error {
	root := path.Clean(filepath.ToSlash(folder))
	_, folders, err := closure(stage, dir, root)
	if err != nil {
		return err
	}
	g := &gate{stage: stage, dir: dir, root: root, allowed: allowed}
	if err := g.lock(); err != nil {
		return err
	}
	for _, folder := range folders {
		if err := g.module(folder); err != nil {
			return err
		}
	}
	return nil
}

// gate judges one root.
type gate struct {
	stage, dir, root string
	allowed          infra.Allowed
}

func (g *gate) refuse(at, reason, mend string) error { return step.Policy(g.stage, at, reason, mend) }

// module judges the files of one folder. Provider blocks wait for the sources of all.
func (g *gate) module(folder string) error {
	sources := map[string][]string{"terraform": {builtin}}
	var providers []func() error
	err := each(g.stage, g.dir, folder, func(f file) error {
		content, problems := f.Body.Content(top)
		if problems.HasErrors() {
			return step.Input(g.stage, f.at(problems[0].Subject), "is not understood: "+diagnosis(problems[0]), "write it as this version of the pipeline reads it: what it can't read, it can't judge")
		}
		for _, block := range content.Blocks {
			at := f.at(&block.DefRange)
			var err error
			switch block.Type {
			case "terraform":
				err = g.terraform(f, block.Body, sources)
			case "provider":
				providers = append(providers, func() error { return g.provider(at, block, sources[block.Labels[0]]) })
			case "data", "ephemeral":
				err = g.data(at, block)
			case "check":
				inner, _, problems := block.Body.PartialContent(&hcl.BodySchema{Blocks: []hcl.BlockHeaderSchema{reader("data")}})
				if problems.HasErrors() {
					return step.Input(g.stage, at, "is not understood: "+diagnosis(problems[0]), "write it as Terraform's documentation of check blocks does")
				}
				for _, data := range inner.Blocks {
					if err == nil {
						err = g.data(f.at(&data.DefRange), data)
					}
				}
			case "resource", "removed":
				err = g.provisioners(f, block.Body)
			}
			if err != nil {
				return err
			}
		}
		return g.calls(f)
	})
	for _, judge := range providers {
		if err == nil {
			err = judge()
		}
	}
	return err
}

// diagnosis is what the parser says is wrong, on one line.
func diagnosis(d *hcl.Diagnostic) string {
	return strings.Join(strings.Fields(d.Summary+": "+d.Detail), " ")
}

// settings are the names of a block's arguments and blocks.
func settings(body hcl.Body) []string {
	if native, ok := body.(*hclsyntax.Body); ok {
		names := slices.Collect(maps.Keys(native.Attributes))
		for _, block := range native.Blocks {
			names = append(names, block.Type)
		}
		slices.Sort(names)
		return slices.Compact(names)
	}
	// Of JSON these are blocks, too.
	attributes, _ := body.JustAttributes()
	return slices.Sorted(maps.Keys(attributes))
}

// terraform judges a terraform block, and collects the sources of its providers.
func (g *gate) terraform(f file, body hcl.Body, sources map[string][]string) error {
	inner, _, problems := body.PartialContent(&hcl.BodySchema{Blocks: []hcl.BlockHeaderSchema{
		{Type: "backend", LabelNames: []string{"type"}}, {Type: "cloud"}, {Type: "required_providers"},
	}})
	if problems.HasErrors() {
		return step.Input(g.stage, f.at(problems[0].Subject), "is not understood: "+diagnosis(problems[0]), noBackend)
	}
	for _, b := range inner.Blocks {
		at := f.at(&b.DefRange)
		switch names := settings(b.Body); {
		case b.Type == "required_providers":
			if err := g.sources(f, b.Body, sources); err != nil {
				return err
			}
		case b.Type == "cloud":
			return step.Input(g.stage, at, "keeps its state in HCP Terraform", noBackend)
		case b.Labels[0] != "http":
			return step.Input(g.stage, at, fmt.Sprintf("declares the backend %q", b.Labels[0]), noBackend)
		case len(names) > 0:
			return step.Input(g.stage, at, "sets "+names[0]+" of its backend", noBackend)
		}
	}
	for _, name := range settings(body) {
		if !slices.Contains([]string{"backend", "required_providers", "required_version"}, name) {
			return g.refuse("code "+f.name, fmt.Sprintf("has %.80q in its terraform block", name), ownRun)
		}
	}
	return nil
}

// Where a provider comes from that says nothing else, and Terraform's own, which is a
// part of it.
const builtin = "terraform.io/builtin/terraform"

var registries = []string{"registry.terraform.io/", "registry.opentofu.org/"}

// addresses are those that a provider's source may stand for: Terraform and OpenTofu
// have a registry each. Which of them it is, the lock file says.
func addresses(source string) []string {
	switch source = strings.ToLower(source); strings.Count(source, "/") {
	case 0:
		source = "hashicorp/" + source
	case 2:
		return []string{source}
	}
	return []string{registries[0] + source, registries[1] + source}
}

func (g *gate) sources(f file, body hcl.Body, sources map[string][]string) error {
	attributes, problems := body.JustAttributes()
	if problems.HasErrors() {
		return step.Input(g.stage, f.at(problems[0].Subject), "is not understood: "+diagnosis(problems[0]), "name each provider with its source and version")
	}
	for name, attribute := range attributes {
		at := f.at(&attribute.Range)
		source := name
		pairs, problems := hcl.ExprMap(attribute.Expr)
		if problems.HasErrors() {
			pairs = nil // its version alone, as before Terraform 0.13
		}
		for _, pair := range pairs {
			key, wrong := text(pair.Key)
			if wrong == nil && key == "source" {
				source, wrong = text(pair.Value)
			}
			if wrong != nil {
				return step.Input(g.stage, at, "takes a provider from where nobody can tell before it runs", "write its source as text")
			}
		}
		if err := g.address(at, addresses(source)); err != nil {
			return err
		}
		sources[name] = append(sources[name], addresses(source)...)
	}
	return nil
}

// text is an expression that is text by itself.
func text(expression hcl.Expression) (string, error) {
	value, problems := expression.Value(nil)
	if problems.HasErrors() || !value.IsWhollyKnown() || value.IsNull() || value.Type() != cty.String {
		return "", errors.New("is not text")
	}
	return value.AsString(), nil
}

func (g *gate) address(at string, candidates []string) error {
	for _, address := range candidates {
		if _, ok := g.allowed.Providers[address]; ok || address == builtin {
			return nil
		}
	}
	return g.refuse(at, fmt.Sprintf("takes the provider %.120q, which is not allowed: it runs with the credentials of state and providers", candidates[0]), allowMend)
}

// provider judges a provider block.
func (g *gate) provider(at string, block *hcl.Block, from []string) error {
	if from == nil {
		from = addresses(block.Labels[0])
	}
	if err := g.address(at, from); err != nil {
		return err
	}
	for _, name := range settings(block.Body) {
		for _, address := range from {
			arguments, known := g.allowed.Providers[address]
			if known && !slices.Contains([]string{"alias", "for_each", "version"}, name) && !slices.Contains(arguments, name) {
				return g.refuse(at, fmt.Sprintf("sets %.80q of provider %s, which is not allowed: such settings say where credentials are sent, or what is started", name, address), allowMend)
			}
		}
	}
	return nil
}

// data judges a data source or an ephemeral resource: both are read while planning.
func (g *gate) data(at string, block *hcl.Block) error {
	kind := map[string]string{"data": "data source", "ephemeral": "ephemeral resource"}[block.Type]
	switch name := block.Labels[0]; {
	case name == infra.OtherState:
		return g.refuse(at, "reads another state by the data source "+name+": with this one's credentials, from wherever it says", "give the value as a variable of the environment, or publish it where a resource can name it")
	case !slices.Contains(g.allowed.Data, name):
		return g.refuse(at, fmt.Sprintf("reads the %s %.80q, which is not allowed: it runs while planning, with the credentials of state and providers", kind, name), allowMend)
	}
	return nil
}

// provisioners judges those of a resource, or of one that is removed.
func (g *gate) provisioners(f file, body hcl.Body) error {
	inner, _, problems := body.PartialContent(&hcl.BodySchema{Blocks: []hcl.BlockHeaderSchema{{Type: "provisioner", LabelNames: []string{"type"}}}})
	if problems.HasErrors() {
		return step.Input(g.stage, f.at(problems[0].Subject), "is not understood: "+diagnosis(problems[0]), "write it as Terraform's documentation of provisioners does")
	}
	for _, block := range inner.Blocks {
		if name := block.Labels[0]; !slices.Contains(g.allowed.Provisioners, name) {
			return g.refuse(f.at(&block.DefRange), fmt.Sprintf("has the provisioner %.80q, which is not allowed: it runs a program with the credentials of state and providers", name), allowMend)
		}
	}
	return nil
}

// lock judges what Terraform may install, whatever the code calls it.
func (g *gate) lock() error {
	const name = ".terraform.lock.hcl"
	parsed, _ := hclparse.NewParser().ParseHCLFile(filepath.Join(g.dir, filepath.FromSlash(g.root), name))
	if parsed == nil || parsed.Body == nil {
		return nil // without it, nothing is installed
	}
	// What is wrong with the rest is said before anything is installed.
	content, _, _ := parsed.Body.PartialContent(&hcl.BodySchema{Blocks: []hcl.BlockHeaderSchema{{Type: "provider", LabelNames: []string{"source_addr"}}}})
	for _, block := range content.Blocks {
		if err := g.address(fmt.Sprintf("code %s:%d", path.Join(g.root, name), block.DefRange.Start.Line), []string{strings.ToLower(block.Labels[0])}); err != nil {
			return err
		}
	}
	return nil
}

// calls judges what the functions of a file may read.
func (g *gate) calls(f file) error {
	c := &calls{gate: g, file: f}
	return errors.Join(f.walk(g.stage, c, &c.line), c.err)
}

// calls walks expressions. It is an hclsyntax.Walker.
type calls struct {
	*gate
	file file
	// line is where the expressions are; 0 when they say so themselves.
	line int
	// inside is a template's file: what path means there is said by who renders it.
	inside bool
	// hidden counts the loops around that name a variable path.
	hidden int
	err    error
}

func (c *calls) at(r hcl.Range) string {
	if c.line > 0 {
		r.Start.Line = c.line
	}
	return c.file.at(&r)
}

func hides(node hclsyntax.Node) bool {
	loop, ok := node.(*hclsyntax.ForExpr)
	return ok && (loop.KeyVar == "path" || loop.ValVar == "path")
}

// Enter looks at one node.
func (c *calls) Enter(node hclsyntax.Node) hcl.Diagnostics {
	if hides(node) {
		c.hidden++
	}
	if call, ok := node.(*hclsyntax.FunctionCallExpr); ok && c.err == nil {
		c.err = c.call(call)
	}
	return nil
}

// Exit leaves it.
func (c *calls) Exit(node hclsyntax.Node) hcl.Diagnostics {
	if hides(node) {
		c.hidden--
	}
	return nil
}

// call judges one function. Those that read files are named file… and template….
func (c *calls) call(call *hclsyntax.FunctionCallExpr) error {
	name := strings.TrimPrefix(call.Name, "core::")
	if strings.Contains(name, "::") || !strings.HasPrefix(name, "file") && !strings.HasPrefix(name, "template") {
		return nil
	}
	at := c.at(call.NameRange)
	const mend = `name the file of the code by its path, such as "${path.module}/alerts.yaml", or with a last part that is basename(…)`
	if c.inside || c.hidden > 0 || name == "templatestring" || call.ExpandFinal || len(call.Args) == 0 {
		return c.refuse(at, "calls "+name+", which may read any file of the run, its credentials too", mend)
	}
	target, fixed, ok := c.target(call.Args[0])
	if ok && name == "fileset" {
		if len(call.Args) != 2 {
			return nil // Terraform refuses it
		}
		pattern, wrong := text(call.Args[1])
		ok = wrong == nil && !strings.Contains(pattern, "..") && !strings.HasPrefix(pattern, "/")
	}
	if !ok || name == "templatefile" && !fixed {
		return c.refuse(at, "calls "+name+" for a file that is outside of the code, or that nobody can tell before it runs", mend)
	}
	if name != "templatefile" {
		return nil
	}
	data, err := os.ReadFile(filepath.Join(c.dir, filepath.FromSlash(target)))
	if err != nil {
		return step.Input(c.stage, at, fmt.Sprintf("calls templatefile for %.120q, which can't be read", target), mend).Because(err)
	}
	inner := &calls{gate: c.gate, file: file{name: target}, inside: true}
	return errors.Join(inner.file.template(c.stage, string(data), 1, inner), inner.err)
}

// target is the file, from dir, that a function's argument names: a path below the
// code, from path.module, path.root or the folder that Terraform runs in, which is the
// root's. It is not fixed when its last part is a basename.
func (c *calls) target(argument hclsyntax.Expression) (name string, fixed, ok bool) {
	parts := []hclsyntax.Expression{argument}
	if template, is := argument.(*hclsyntax.TemplateExpr); is {
		parts = template.Parts
	}
	base, rest, rooted, fixed := c.root, "", false, true
	for i, part := range parts {
		switch part := part.(type) {
		case *hclsyntax.LiteralValueExpr:
			words, wrong := text(part)
			if wrong != nil || !fixed && strings.Contains(words, "/") || !rooted && rest == "" && strings.IndexAny(words, "/~") == 0 {
				return "", false, false
			}
			rest += words
		case *hclsyntax.ScopeTraversalExpr:
			if i > 0 {
				return "", false, false
			}
			rooted = true
			switch pathOf(part.Traversal) {
			case "module":
				base = path.Dir(c.file.name)
			case "root", "cwd":
			default:
				return "", false, false
			}
			if len(parts) > 1 {
				if next, wrong := text(parts[1]); wrong != nil || !strings.HasPrefix(next, "/") {
					return "", false, false
				}
			}
		case *hclsyntax.FunctionCallExpr:
			if i == 0 || strings.TrimPrefix(part.Name, "core::") != "basename" {
				return "", false, false
			}
			fixed = false
			rest += "x"
		default:
			return "", false, false
		}
	}
	name = path.Join(base, rest)
	return name, fixed, filepath.IsLocal(filepath.FromSlash(name)) && !strings.ContainsRune(rest, 0)
}

// pathOf is the x of path.x; empty for anything else.
func pathOf(t hcl.Traversal) string {
	if len(t) != 2 || t.RootName() != "path" {
		return ""
	}
	attribute, _ := t[1].(hcl.TraverseAttr)
	return attribute.Name
}
