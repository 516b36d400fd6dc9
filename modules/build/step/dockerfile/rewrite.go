package dockerfile

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"

	"slipway/step"
	"slipway/step/result/build"
)

// boxPath is where a RUN finds the box. The engine mounts in the order of paths, and
// no target that is allowed comes after this one: whatever links there are in the
// image, nothing is mounted over it. Nothing of it stays in the image.
const boxPath = "/~slipway"

// maxLine is how long an instruction may become; the builder reads no longer
// lines.
const maxLine = 60_000

// ImageConfig is what the config of a base image brings into a build.
type ImageConfig struct {
	Shell   []string
	OnBuild []string
}

// Rewritten is the result of Rewrite.
type Rewritten struct {
	// Dockerfile has the same instructions on the same lines.
	Dockerfile []byte
	// Scripts are the files of build.ScriptsFolder, by name, to be executable.
	Scripts map[string][]byte
}

// Rewrite writes a checked file anew, for one platform: each RUN without a
// network, but for the box's gateway if there is one, and inside of the box, whose arguments box are; each source of the
// build context below build.ContextFolder; each thing that ADD takes from elsewhere as
// a file that was fetched before. Everything else stays as it is, byte for byte.
// Images are the configs of what Checked.Configs names.
//
// Faults are Check's, and KindPolicy for a base image that runs something by
// itself when it is built on, KindInput for what can't be written anew.
func Rewrite(path string, content []byte, options Options, box []string, images map[Config]ImageConfig) (Rewritten, error) {
	if len(options.Platforms) != 1 {
		return Rewritten{}, step.Input(Stage, path, "is written anew for one platform at a time", "give one")
	}
	f, checked, err := check(path, content, options)
	if err != nil {
		return Rewritten{}, err
	}
	c := &checker{file: f, refusals: &refusals{}, platform: options.Platforms[0], options: options}
	if err := c.run(); err != nil {
		return Rewritten{}, err
	}
	w := &writer{checker: c, box: box, out: Rewritten{Scripts: map[string][]byte{}}, fetched: checked.Fetches, lines: map[int]lines{}}
	shells, err := w.shells(checked.Configs, images)
	if err != nil {
		return Rewritten{}, err
	}
	for i, s := range f.stages {
		w.from(s)
		shell := shells[i]
		for _, command := range s.commands {
			if is, ok := command.is.(*instructions.ShellCommand); ok {
				shell = is.Shell
			}
			w.command(command, shell, c.origins[i].platform)
		}
	}
	if w.any() {
		return Rewritten{}, w.fault(path)
	}
	w.out.Dockerfile = w.assembled()
	return w.out, nil
}

// lines stand in place of an instruction's own, up to and with line last.
type lines struct {
	last int
	text string
}

type writer struct {
	*checker
	box     []string
	out     Rewritten
	fetched []Fetch
	lines   map[int]lines
}

var defaultShell = []string{"/bin/sh", "-c"}

// shells are the shells that each stage begins with. Only stages that are part
// of the target have one that counts: the builder leaves out the others.
func (w *writer) shells(needed []Config, images map[Config]ImageConfig) ([][]string, error) {
	first, last := make([][]string, len(w.stages)), make([][]string, len(w.stages))
	for i, s := range w.stages {
		origin := w.origins[i]
		first[i] = defaultShell
		at := Config{Build: w.platform, Platform: origin.platform, Reference: origin.image}
		if origin.stage >= 0 {
			first[i] = last[origin.stage]
		} else if slices.Contains(needed, at) {
			config, ok := images[at]
			if !ok {
				return nil, step.Input(Stage, origin.image, "has no config for "+origin.platform, "give the base image's config")
			}
			if len(config.OnBuild) > 0 {
				return nil, step.Policy(Stage, fmt.Sprintf("%s:%d", w.path, firstLine(s.Location)),
					fmt.Sprintf("FROM %s: the image runs ONBUILD instructions of its own", origin.image),
					"use a base image without ONBUILD, and write its instructions into the Dockerfile", config.OnBuild...)
			}
			if len(config.Shell) > 0 {
				first[i] = config.Shell
			}
		}
		last[i] = first[i]
		for _, command := range s.commands {
			if is, ok := command.is.(*instructions.ShellCommand); ok {
				last[i] = is.Shell
			}
		}
	}
	return first, nil
}

func (w *writer) command(c command, shell []string, platform string) {
	switch is := c.is.(type) {
	case *instructions.RunCommand:
		w.run(c, shell, platform)
	case *instructions.CopyCommand:
		w.copied(c.node, is)
	case *instructions.AddCommand:
		w.sources(c.node)
	}
}

// from writes a FROM whose image the platform has chosen.
func (w *writer) from(s stage) {
	base, err := w.expand(s.BaseName)
	chosen, ok := w.chosen[use{s.from.StartLine, base}]
	if err != nil || !ok {
		return
	}
	written := []string{s.from.Value}
	for _, f := range flags(s.from) {
		written = append(written, f.word)
	}
	w.replace(s.from, append(append(written, chosen), words(s.from)[1:]...))
}

// copied writes a COPY of the build context, or of an image that the platform has
// chosen.
func (w *writer) copied(node *parser.Node, is *instructions.CopyCommand) {
	if is.From == "" {
		w.sources(node)
		return
	}
	chosen, ok := w.chosen[use{node.StartLine, is.From}]
	if !ok {
		return
	}
	paths, heredocs := sources(node)
	if heredocs > 0 || len(paths) == 0 {
		w.add(node.StartLine, "copy the files of the image and the text of the here-document apart", "COPY --from %s: can't be told", is.From)
		return
	}
	written := []string{node.Value}
	for _, f := range flags(node) {
		if f.name == "from" {
			f.word = "--from=" + chosen
		}
		written = append(written, f.word)
	}
	all := words(node)
	if node.Attributes["json"] {
		text, ok := array(all)
		if !ok {
			w.add(node.StartLine, "write it in UTF-8", "COPY: holds bytes that are no text")
		}
		all = []string{text}
	}
	w.replace(node, append(written, all...))
}

// run writes a RUN: what it ran is what the box runs.
func (w *writer) run(c command, shell []string, platform string) {
	what, _ := script(c)
	arch, _ := architecture(platform)
	written := []string{c.node.Value, "--network=none"}
	for _, f := range flags(c.node) {
		if f.name == "mount" {
			written = append(written, w.mount(c.node.StartLine, f))
		}
	}
	args := what.args
	switch {
	case what.shell:
		args = append(slices.Clone(shell), what.text)
	case args == nil:
		name := strconv.Itoa(c.node.StartLine)
		w.out.Scripts[name] = []byte(what.text)
		target := path.Join(boxPath, "script")
		written = append(written, "--mount=type=bind,source="+path.Join(build.ScriptsFolder, name)+",target="+target)
		args = []string{target}
	}
	written = append(written, "--mount=type=bind,source="+path.Join(build.BoxFolder, arch)+",target="+path.Join(boxPath, "box"))
	box := w.box
	if w.options.Packages {
		target := path.Join(boxPath, build.PackagesFolder)
		written = append(written, "--mount=type=bind,source="+build.PackagesFolder+",target="+target)
		box = append(slices.Clone(box), "--packages="+target)
	}
	if w.options.Network != "" {
		target := path.Join(boxPath, build.GatewayFolder)
		written = append(written, "--mount=type=cache,id="+w.options.Network+",target="+target)
		box = append(slices.Clone(box), "--network="+target)
	}
	argv := slices.Concat([]string{path.Join(boxPath, "box")}, box, []string{"--"}, args)
	text, ok := array(argv)
	if !ok {
		w.add(c.node.StartLine, "write it in UTF-8", "RUN: holds bytes that are no text")
	}
	w.replace(c.node, append(written, text))
}

// mount writes a mount: of the build context where it was, and nothing that
// other builds could write to.
func (w *writer) mount(line int, f flag) string {
	m, _ := mounted(f.value)
	fields := []string{"type=" + m.kind}
	switch m.kind {
	case "bind":
		if m.from == "" {
			m.source = inContext(m.source, w.escape)
		} else {
			fields = append(fields, "from="+w.image(line, m.from))
		}
		if m.source != "" {
			fields = append(fields, "source="+m.source)
		}
		fields = append(fields, "target="+m.target)
	case "cache", "tmpfs":
		if m.size == 0 {
			m.size = maxMemoryMount
		}
		return "--mount=type=tmpfs,target=" + m.target + ",size=" + strconv.FormatInt(m.size, 10)
	case "secret":
		fields = append(fields, "id="+m.id)
		if m.target != "" {
			fields = append(fields, "target="+m.target)
		}
	}
	return "--mount=" + strings.Join(append(fields, m.others...), ",")
}

// sources writes a COPY or ADD of the build context, or of what was fetched.
func (w *writer) sources(node *parser.Node) {
	paths, heredocs := sources(node)
	if heredocs > 0 || len(paths) == 0 {
		return
	}
	all := words(node)
	destination := all[len(all)-1]
	instruction := node.Value
	var written, from []string
	for _, f := range flags(node) {
		if f.name != "checksum" {
			written = append(written, f.word)
		}
	}
	if remote.MatchString(paths[0]) {
		n := slices.IndexFunc(w.fetched, func(f Fetch) bool { return f.Line == node.StartLine })
		fetch := w.fetched[n]
		// ADD unpacks an archive of the build context, and none from elsewhere.
		instruction = "COPY"
		from = []string{path.Join(build.FetchedFolder, strconv.Itoa(n), fetch.Name)}
		if fetch.Checksum != "" && flagged(node, "chmod") == "" {
			written = append(written, "--chmod=0600")
		}
	} else {
		for _, word := range paths {
			from = append(from, inContext(word, w.escape))
		}
	}
	from = append(from, destination)
	if node.Attributes["json"] {
		text, ok := array(from)
		if !ok {
			w.add(node.StartLine, "write it in UTF-8", "%s: holds bytes that are no text", strings.ToUpper(node.Value))
		}
		from = []string{text}
	}
	w.replace(node, slices.Concat([]string{instruction}, written, from))
}

// replace puts an instruction in place of a node's, on its first line.
func (w *writer) replace(node *parser.Node, words []string) {
	text := strings.Join(words, " ")
	if len(text) > maxLine {
		w.add(node.StartLine, "move it into a file that is copied", "%s: is longer than %d bytes", strings.ToUpper(node.Value), maxLine)
	}
	w.lines[node.StartLine] = lines{last: node.EndLine, text: text}
}

// assembled is the file with what was replaced; what went over several lines
// leaves empty ones, so that each instruction stays on its line.
func (w *writer) assembled() []byte {
	var out bytes.Buffer
	old := bytes.SplitAfter(w.content, []byte("\n"))
	for i := 0; i < len(old); i++ {
		next, ok := w.lines[i+1]
		if !ok {
			out.Write(old[i])
			continue
		}
		out.WriteString(next.text)
		for ; i+1 < next.last; i++ {
			out.WriteByte('\n')
		}
		out.WriteByte('\n')
	}
	return out.Bytes()
}

// array is a JSON array that means the same to whatever looks at a line of a
// Dockerfile: nothing in it looks like an escape at the line's end, a
// here-document, a comment or a variable.
func array(words []string) (string, bool) {
	var b strings.Builder
	b.WriteByte('[')
	for i, word := range words {
		if !utf8.ValidString(word) {
			return "", false
		}
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(quoted(word))
	}
	b.WriteByte(']')
	return b.String(), true
}

func quoted(word string) string {
	encoded, _ := json.Marshal(word) // a string always is JSON
	var b strings.Builder
	for _, r := range string(encoded[1 : len(encoded)-1]) {
		switch r {
		case '`', '$', '#', '\'':
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	return `"` + b.String() + `"`
}
