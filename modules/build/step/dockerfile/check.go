// Package dockerfile decides whether a Dockerfile may be built, and writes it
// anew so that whatever it runs, runs confined. It reads the file with the
// parser of the engine's own builder, so that it sees what the builder sees.
package dockerfile

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"

	"slipway/step"
	"slipway/step/result/build"
)

// Stage is the stage that faults of this package name.
const Stage = "build"

type (
	// Base is an image that a Dockerfile names.
	Base = build.Base
	// Config is a base image whose config has a part in the build.
	Config = build.Config
	// Fetch is what an ADD fetches.
	Fetch = build.Fetch
	// Checked is a Dockerfile that may be built.
	Checked = build.Dockerfile
	// Kind says where a base comes from.
	Kind = build.Kind
)

// The kinds of bases.
const (
	KindImage   = build.KindImage
	KindScratch = build.KindScratch
	KindStage   = build.KindStage
)

const mend = "pin each image as name@sha256:… (a tag before the @ may stay as a note for people), or name an earlier stage, scratch, or what the platform's build.bases has"

// Check reads a Dockerfile and lists what it takes from elsewhere. path is how
// faults name the file.
//
// Faults: KindPolicy, with one detail for each line, when an instruction, a flag
// or a mount is not on the list, when a base is not scratch, an earlier stage or
// an image pinned by digest on each platform, or when ADD names something remote
// without its checksum or commit; KindInput when the file can't be parsed or an
// option is wrong.
func Check(path string, content []byte, options Options) (Checked, error) {
	_, checked, err := check(path, content, options)
	return checked, err
}

func check(path string, content []byte, options Options) (*file, Checked, error) {
	if err := options.valid(path); err != nil {
		return nil, Checked{}, err
	}
	f, refused, err := read(path, content)
	if err != nil {
		return nil, Checked{}, err
	}
	if f == nil {
		return nil, Checked{}, refused.fault(path)
	}
	all := Checked{}
	for i, platform := range options.Platforms {
		c := &checker{file: f, refusals: refused, platform: platform, options: options}
		if err := c.run(); err != nil {
			return nil, Checked{}, err
		}
		for _, base := range c.bases {
			if !slices.Contains(all.Bases, base) {
				all.Bases = append(all.Bases, base)
			}
		}
		if i == 0 {
			all.Fetches = c.fetches
		}
		all.Configs = append(all.Configs, c.configs()...)
	}
	if refused.any() {
		return nil, Checked{}, refused.fault(path)
	}
	slices.SortStableFunc(all.Bases, func(a, b Base) int { return a.Line - b.Line })
	return f, all, nil
}

// fault is the refusal of a file; what is wrong first says how to mend it.
func (r *refusals) fault(path string) error {
	slices.SortStableFunc(r.lines, func(a, b refusal) int { return a.line - b.line })
	first := r.lines[0]
	var details []string
	for _, next := range r.lines {
		details = append(details, fmt.Sprintf("line %d: %s", next.line, next.text))
	}
	way := first.mend
	if way == "" {
		way = mend
	}
	return step.Policy(Stage, fmt.Sprintf("%s:%d", path, first.line), first.text, way, details...)
}

// checker looks at a file for one platform.
type checker struct {
	*file
	*refusals
	platform string
	options  Options

	args    map[string]string // global ARGs
	empty   map[string]bool   // those without a value
	named   map[string]int    // names of the stages before this one, in lower case
	origins []origin          // what each stage begins with
	needs   [][]int           // the stages that each one takes content from
	bases   []Base
	fetches []Fetch
	chosen  map[use]string // pinned references in place of what is written
}

// use is where an image is named, and as what.
type use struct {
	line int
	name string
}

// image is what a name on a line of a checked file stands for.
func (c *checker) image(line int, name string) string {
	if base, ok := c.chosen[use{line, name}]; ok {
		return base
	}
	return name
}

// origin is what a stage begins with: an earlier stage, or an image.
type origin struct {
	stage int // -1 for none
	image string
	// platform is that of the stage's own commands.
	platform string
}

func (c *checker) run() error {
	c.syntax()
	c.args, c.empty, c.named, c.chosen = platformArgs(c.platform), map[string]bool{}, map[string]int{}, map[use]string{}
	for _, arg := range c.globals {
		c.globalArg(arg)
	}
	for i, s := range c.stages {
		c.needs = append(c.needs, nil)
		c.from(i, s)
		for _, command := range s.commands {
			c.command(i, command)
		}
		if s.Name == "" {
			continue
		}
		if _, twice := c.named[s.Name]; twice {
			c.add(firstLine(s.Location), "give each stage a name of its own", "FROM … AS %s: another stage has that name", s.Name)
		}
		c.named[s.Name] = i
	}
	if _, ok := c.target(); !ok {
		return step.Input(Stage, fmt.Sprintf("%s: target %.80q", c.path, c.options.Target), "is not a stage of the file", "name one that FROM … AS makes")
	}
	return nil
}

// target is the stage that is built.
func (c *checker) target() (int, bool) {
	if c.options.Target == "" {
		return len(c.stages) - 1, true
	}
	i, ok := c.named[strings.ToLower(c.options.Target)]
	return i, ok
}

// reached are the stages that the target is made of.
func (c *checker) reached() map[int]bool {
	last, _ := c.target()
	all, todo := map[int]bool{}, []int{last}
	for len(todo) > 0 {
		i := todo[0]
		todo = todo[1:]
		if !all[i] {
			all[i] = true
			todo = append(todo, c.needs[i]...)
		}
	}
	return all
}

func (c *checker) configs() []Config {
	var all []Config
	reached := c.reached()
	for i, o := range c.origins {
		next := Config{Build: c.platform, Platform: o.platform, Reference: o.image}
		if reached[i] && o.image != "" && !slices.Contains(all, next) {
			all = append(all, next)
		}
	}
	return all
}

// syntax refuses an image that would interpret the file: the engine's own builder
// reads it, whatever version of Docker's frontend is named.
func (c *checker) syntax() {
	written, _, where, ok := parser.DetectSyntax(c.content)
	if !ok {
		return
	}
	ref, err := name.ParseReference(written)
	if err == nil && ref.Context().RegistryStr() == name.DefaultRegistry && slices.Contains(frontends, ref.Context().RepositoryStr()) {
		return
	}
	c.add(firstLine(where), "take the line out: the engine's own builder reads the file", "# syntax %s: is not Docker's own frontend, and none other is run", written)
}

// frontends are the repositories of the frontend that the engine's builder is.
var frontends = []string{"docker/dockerfile", "docker/dockerfile-upstream", "moby/dockerfile", "moby/dockerfile-upstream"}

// globalArg does what BuildKit does with an ARG before the first FROM: without
// a value it is empty, also where it names an argument of the platform.
func (c *checker) globalArg(command instructions.ArgCommand) {
	for _, arg := range command.Args {
		value, given := c.options.Args[arg.Key]
		if !given && arg.Value != nil {
			result, err := c.lex.ProcessWordWithMatches(*arg.Value, environment(c.args))
			if err != nil {
				c.add(firstLine(command.Location()), "mend its default", "ARG %s: %v", arg.Key, err)
			}
			value = result.Result
		}
		c.args[arg.Key], c.empty[arg.Key] = value, value == ""
	}
}

// expand fills in global ARGs. It errs when nothing is left where one has no
// value.
func (c *checker) expand(word string) (string, error) {
	result, err := c.lex.ProcessWordWithMatches(word, environment(c.args))
	if err != nil {
		return "", err
	}
	if result.Result != "" && !strings.Contains(result.Result, "$") {
		for key := range result.Unmatched {
			if !pinned(result.Result) {
				return "", fmt.Errorf("%s has no value", key)
			}
		}
		return result.Result, nil
	}
	var keys []string
	for key := range result.Unmatched {
		keys = append(keys, key)
	}
	for key := range result.Matched {
		if c.empty[key] {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	if len(keys) > 0 {
		return "", fmt.Errorf("%s has no value", strings.Join(keys, ", "))
	}
	return "", fmt.Errorf("%q is no name", result.Result)
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

func (c *checker) from(index int, s stage) {
	line := firstLine(s.Location)
	begins := origin{stage: -1, platform: c.platform}
	defer func() { c.origins = append(c.origins, begins) }()
	base, err := c.expand(s.BaseName)
	if err != nil {
		c.add(line, "", "FROM %s: can't be told: %v", s.BaseName, err)
		return
	}
	if kind, stage := c.source(index, line, "FROM", base, false); kind == KindStage {
		begins.stage, begins.platform = stage, c.origins[stage].platform
	} else if kind == KindImage {
		begins.image = c.image(line, base)
	}
	if s.Platform == "" {
		return
	}
	platform, err := c.expand(s.Platform)
	if _, ok := architecture(platform); err != nil || !ok {
		c.add(line, "use linux/amd64, linux/arm64, $BUILDPLATFORM or $TARGETPLATFORM", "FROM --platform=%s: is not a platform that can be built", s.Platform)
		return
	}
	// An earlier stage has the platform that it was built for.
	if begins.stage < 0 {
		begins.platform = platform
	}
}

func (c *checker) command(index int, command command) {
	line := firstLine(command.is.Location())
	switch cmd := command.is.(type) {
	case *instructions.CopyCommand:
		if cmd.From != "" {
			c.source(index, line, "COPY --from", cmd.From, true)
			return
		}
		c.local(command.node)
	case *instructions.AddCommand:
		c.added(command.node)
	case *instructions.RunCommand:
		for _, f := range flags(command.node) {
			if f.name != "mount" {
				continue
			}
			mount, _ := mounted(f.value)
			if mount.from != "" {
				c.source(index, line, "RUN --mount", mount.from, false)
			}
			if mount.kind == "secret" && !slices.Contains(c.options.Secrets, mount.id) {
				c.add(line, "name it in app.yaml, below build: secrets: ["+mount.id+"]", "RUN --mount secret %s: is not one of the build's secrets", mount.id)
			}
		}
		if _, err := script(command); err != "" {
			c.add(line, "write the script into a file that is copied, and run that", "RUN: %s", err)
		}
	}
}

// source checks one name, and says which stage it is if it is one. BuildKit
// takes a stage's name before an image's; a number is a stage where numbered
// says so.
func (c *checker) source(index, line int, instruction, ref string, numbered bool) (Kind, int) {
	if strings.Contains(ref, "$") {
		c.add(line, "", "%s %s: a variable can't be filled in here", instruction, ref)
		return "", 0
	}
	stage, ok := c.named[strings.ToLower(ref)]
	if n, err := strconv.Atoi(ref); !ok && numbered && err == nil {
		if n < 0 || n >= index {
			c.add(line, "", "%s %s: is not an earlier stage", instruction, ref)
			return "", 0
		}
		stage, ok = n, true
	}
	if ok {
		c.base(line, instruction, ref, KindStage)
		c.needs[index] = append(c.needs[index], stage)
		return KindStage, stage
	}
	if ref == "scratch" {
		c.base(line, instruction, ref, KindScratch)
		return KindScratch, 0
	}
	// A name without a digest is good where the platform has an image for it.
	if base, ok := c.options.Bases[ref]; ok {
		c.chosen[use{line, ref}] = base
		ref = base
	}
	if !pinned(ref) {
		c.add(line, "", "%s %s: is not pinned by digest", instruction, ref)
		return "", 0
	}
	c.base(line, instruction, ref, KindImage)
	return KindImage, 0
}

func pinned(ref string) bool {
	digest, err := name.NewDigest(ref)
	return err == nil && step.Digest(Stage, "digest", digest.DigestStr()) == nil
}

func (c *checker) base(line int, instruction, ref string, kind Kind) {
	c.bases = append(c.bases, Base{Line: line, Instruction: instruction, Reference: ref, Kind: kind})
}

func firstLine(where []parser.Range) int {
	if len(where) == 0 {
		return 0
	}
	return where[0].Start.Line
}
