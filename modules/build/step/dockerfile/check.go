// Package dockerfile decides whether every image that a Dockerfile takes
// content from is pinned by digest. It reads the file with BuildKit's own
// parser, so that it sees what the builder sees.
package dockerfile

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/dockerfile/shell"

	"slipway/step"
)

// Stage is the stage that faults of this package name.
const Stage = "build"

// Kind says where a base comes from.
type Kind string

const (
	// KindImage is an image of a registry, pinned by digest.
	KindImage Kind = "image"
	// KindScratch is the empty image.
	KindScratch Kind = "scratch"
	// KindStage is an earlier stage of the same file.
	KindStage Kind = "stage"
	// KindFrontend is the image that interprets the file, which a syntax
	// directive names.
	KindFrontend Kind = "frontend"
)

// Base is one place where a Dockerfile takes content from elsewhere.
type Base struct {
	// Line counts from 1.
	Line int `json:"line"`
	// Instruction is "FROM", "COPY --from", "RUN --mount" or "# syntax".
	Instruction string `json:"instruction"`
	// Reference is the name after its build arguments are filled in.
	Reference string `json:"reference"`
	// Kind says what the name is.
	Kind Kind `json:"kind"`
}

// Checked is the result of Check.
type Checked struct {
	// Bases are in the order of the file.
	Bases []Base `json:"bases"`
}

const mend = "pin each image as name@sha256:… (a tag before the @ may stay as a note for people), or name an earlier stage or scratch"

// Check reads a Dockerfile and lists its bases. path is how faults name the
// file; args are the build arguments that the builder will be given.
//
// Faults: KindPolicy, with one detail for each line, when a base is not
// scratch, an earlier stage or an image pinned by digest, or can't be told;
// KindInput when the file can't be parsed.
func Check(path string, content []byte, args map[string]string) (Checked, error) {
	c := &checker{args: map[string]string{}, given: args, stages: map[string]int{}}
	c.syntax(content)

	tree, err := parser.Parse(bytes.NewReader(content))
	if err != nil {
		return Checked{}, unparsable(path, err)
	}
	stages, meta, err := instructions.Parse(tree.AST, nil)
	if err != nil {
		return Checked{}, unparsable(path, err)
	}
	if len(stages) == 0 {
		return Checked{}, step.Input(Stage, path, "has no FROM", "begin the first stage with FROM")
	}
	c.lex = shell.NewLex(tree.EscapeToken)
	for _, arg := range meta {
		c.globalArg(arg)
	}
	for i, stage := range stages {
		c.from(i, stage)
		for _, command := range stage.Commands {
			c.command(i, command)
		}
		if stage.Name != "" {
			c.stages[strings.ToLower(stage.Name)] = i
		}
	}
	if len(c.refused) > 0 {
		first := c.refused[0]
		var details []string
		for _, r := range c.refused {
			details = append(details, fmt.Sprintf("line %d: %s", r.line, r.text))
		}
		return Checked{}, step.Policy(Stage, fmt.Sprintf("%s:%d", path, first.line), first.text, mend, details...)
	}
	return Checked{Bases: c.bases}, nil
}

func unparsable(path string, err error) error {
	return step.Input(Stage, path, "is not a Dockerfile that BuildKit can parse: "+err.Error(), "mend the file").Because(err)
}

type refusal struct {
	line int
	text string
}

type checker struct {
	lex     *shell.Lex
	given   map[string]string // build arguments
	args    map[string]string // global ARGs that have a value
	stages  map[string]int    // names of the stages before this one, in lower case
	bases   []Base
	refused []refusal
}

// syntax checks the image that would interpret the file instead of the
// builder: it decides what every other line means.
func (c *checker) syntax(content []byte) {
	if ref, _, where, ok := parser.DetectSyntax(content); ok {
		c.image(firstLine(where), "# syntax", ref, KindFrontend)
	}
	if ref, ok := c.given["BUILDKIT_SYNTAX"]; ok {
		c.image(0, "build argument BUILDKIT_SYNTAX", ref, KindFrontend)
	}
}

// globalArg does what BuildKit does with an ARG before the first FROM.
func (c *checker) globalArg(command instructions.ArgCommand) {
	for _, arg := range command.Args {
		if value, ok := c.given[arg.Key]; ok {
			c.args[arg.Key] = value
			continue
		}
		if arg.Value == nil {
			continue
		}
		if value, err := c.expand(*arg.Value); err == nil {
			c.args[arg.Key] = value
		}
	}
}

// expand fills in global ARGs. It errs when one has no value, unless what is
// written around it makes a pinned reference anyway, as ${BASE:-name@sha256:…}
// does; BuildKit's own platform arguments have values that are not known here.
func (c *checker) expand(word string) (string, error) {
	result, err := c.lex.ProcessWordWithMatches(word, environment(c.args))
	if err != nil {
		return "", err
	}
	for key := range result.Unmatched {
		if strings.HasPrefix(key, "TARGET") || strings.HasPrefix(key, "BUILD") || !pinned(result.Result) {
			return "", fmt.Errorf("%s has no value", key)
		}
	}
	return result.Result, nil
}

type environment map[string]string

func (e environment) Get(key string) (string, bool) {
	value, ok := e[key]
	return value, ok
}

func (e environment) Keys() []string {
	keys := make([]string, 0, len(e))
	for key := range e {
		keys = append(keys, key)
	}
	return keys
}

func (c *checker) from(index int, stage instructions.Stage) {
	line := firstLine(stage.Location)
	base, err := c.expand(stage.BaseName)
	if err != nil {
		c.refuse(line, "FROM %s: can't be told: %v", stage.BaseName, err)
		return
	}
	c.source(index, line, "FROM", base, false)
}

func (c *checker) command(index int, command instructions.Command) {
	line := firstLine(command.Location())
	switch cmd := command.(type) {
	case *instructions.CopyCommand:
		if cmd.From != "" {
			c.source(index, line, "COPY --from", cmd.From, true)
		}
	case *instructions.RunCommand:
		for _, mount := range instructions.GetMounts(cmd) {
			if mount.From != "" {
				c.source(index, line, "RUN --mount", mount.From, true)
			}
		}
	case *instructions.OnbuildCommand:
		c.refuse(line, "ONBUILD %s: runs in a later build or stage, where its bases can't be told", cmd.Expression)
	}
}

// source checks one name. BuildKit takes a stage's name before an image's; a
// number is a stage where numbered says so.
func (c *checker) source(index, line int, instruction, ref string, numbered bool) {
	if strings.Contains(ref, "$") {
		c.refuse(line, "%s %s: a variable can't be filled in here", instruction, ref)
		return
	}
	if _, ok := c.stages[strings.ToLower(ref)]; ok {
		c.add(line, instruction, ref, KindStage)
		return
	}
	if n, err := strconv.Atoi(ref); numbered && err == nil {
		if n < 0 || n >= index {
			c.refuse(line, "%s %s: is not an earlier stage", instruction, ref)
			return
		}
		c.add(line, instruction, ref, KindStage)
		return
	}
	if ref == "scratch" {
		c.add(line, instruction, ref, KindScratch)
		return
	}
	c.image(line, instruction, ref, KindImage)
}

// image demands a reference with a sha256 digest.
func (c *checker) image(line int, instruction, ref string, kind Kind) {
	if !pinned(ref) {
		c.refuse(line, "%s %s: is not pinned by digest", instruction, ref)
		return
	}
	c.add(line, instruction, ref, kind)
}

func pinned(ref string) bool {
	digest, err := name.NewDigest(ref)
	return err == nil && step.Digest(Stage, "digest", digest.DigestStr()) == nil
}

func (c *checker) add(line int, instruction, ref string, kind Kind) {
	c.bases = append(c.bases, Base{Line: line, Instruction: instruction, Reference: ref, Kind: kind})
}

func (c *checker) refuse(line int, format string, args ...any) {
	c.refused = append(c.refused, refusal{line, fmt.Sprintf(format, args...)})
}

func firstLine(where []parser.Range) int {
	if len(where) == 0 {
		return 0
	}
	return where[0].Start.Line
}
