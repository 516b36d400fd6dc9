package dockerfile

import (
	"fmt"
	"net/url"
	"path"
	"regexp"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"

	"slipway/step/result/build"
)

var (
	// remote is a source that isn't a path, as BuildKit's git and http sources
	// and more are.
	remote   = regexp.MustCompile(`\A(?i:[a-z][a-z0-9+.-]*://|[\w.-]+@[\w.-]+:)`)
	commit   = regexp.MustCompile(`\A[0-9a-f]{40}\z`)
	checksum = regexp.MustCompile(`\Asha256:[0-9a-f]{64}\z`)
	fileName = regexp.MustCompile(`\A[\w+-][\w.+-]{0,127}\z`)
	// address is a URL that is read in one way only.
	address = regexp.MustCompile(`\Ahttps://[A-Za-z0-9.-]+(:[0-9]+)?/[\w./~+%@=&?,:-]*\z`)
)

const addMend = "write ADD --checksum=sha256:… https://… for one file, or ADD https://….git#<full commit id> for a repository"

// local refuses sources of a COPY that aren't paths of the build context.
func (c *checker) local(node *parser.Node) {
	sources, heredocs := sources(node)
	for _, source := range sources {
		if remote.MatchString(source) {
			c.add(node.StartLine, addMend, "COPY %s: only ADD takes what is elsewhere", source)
		}
	}
	c.mixed(node, sources, heredocs)
}

func (c *checker) mixed(node *parser.Node, sources []string, heredocs int) {
	if heredocs > 0 && len(sources) > 0 {
		c.add(node.StartLine, "copy the files and the here-documents by one instruction each", "%s: mixes files and here-documents", strings.ToUpper(node.Value))
	}
}

// added checks an ADD: what is elsewhere stands alone, with what it must be.
func (c *checker) added(node *parser.Node) {
	sources, heredocs := sources(node)
	c.mixed(node, sources, heredocs)
	elsewhere := false
	for _, source := range sources {
		elsewhere = elsewhere || remote.MatchString(source)
	}
	if !elsewhere {
		if flagged(node, "checksum") != "" {
			c.add(node.StartLine, addMend, "ADD --checksum: nothing here has an address")
		}
		return
	}
	if len(sources) > 1 {
		c.add(node.StartLine, "add each by an instruction of its own", "ADD: takes several sources, and not all are files of the app")
		return
	}
	fetch, err := fetched(node, sources[0])
	if err != nil {
		c.add(node.StartLine, addMend, "ADD %s: %v", sources[0], err)
		return
	}
	c.fetches = append(c.fetches, fetch)
}

// fetched reads the source of an ADD that is elsewhere.
func fetched(node *parser.Node, source string) (Fetch, error) {
	sum := flagged(node, "checksum")
	where, fragment, git := strings.Cut(source, "#")
	if strings.Contains(source, "$") {
		return Fetch{}, fmt.Errorf("a variable can't be filled in here")
	}
	if !address.MatchString(where) {
		return Fetch{}, fmt.Errorf("is not a plain https address")
	}
	u, err := url.Parse(where)
	if err != nil {
		return Fetch{}, fmt.Errorf("is not a plain https address")
	}
	next := Fetch{Line: node.StartLine, URL: where}
	if git || strings.HasSuffix(u.Path, ".git") {
		if sum != "" || u.RawQuery != "" || !strings.HasSuffix(u.Path, ".git") || !commit.MatchString(fragment) {
			return Fetch{}, fmt.Errorf("is not pinned by a full commit id")
		}
		next.Commit = fragment
		return next, nil
	}
	if !checksum.MatchString(sum) {
		return Fetch{}, fmt.Errorf("is not pinned by a sha256 checksum")
	}
	next.Checksum, next.Name = sum, path.Base(u.Path)
	if !fileName.MatchString(next.Name) {
		return Fetch{}, fmt.Errorf("does not end in a plain file name")
	}
	return next, nil
}

// flagged is the value of an instruction's flag; empty without one.
func flagged(node *parser.Node, name string) string {
	for _, f := range flags(node) {
		if f.name == name {
			return f.value
		}
	}
	return ""
}

// sources are the paths and addresses that a COPY or ADD names, as they are
// written, and how many here-documents.
func sources(node *parser.Node) (paths []string, heredocs int) {
	all := words(node)
	if len(all) < 2 {
		return nil, 0
	}
	for _, word := range all[:len(all)-1] {
		if heredoc(word) {
			heredocs++
			continue
		}
		paths = append(paths, word)
	}
	return paths, heredocs
}

// heredoc reports whether BuildKit takes a word for a here-document's name.
func heredoc(word string) bool {
	found, err := parser.ParseHeredoc(word)
	return err != nil || found != nil
}

// inContext is a source's path in build.ContextFolder. Variables, quotes and escapes
// are left to the builder; a word that begins with the folder is a path,
// whatever they stand for.
func inContext(word string, escape rune) string {
	if strings.ContainsAny(word, `$"'`+string(escape)) {
		return build.ContextFolder + "/" + word
	}
	return build.ContextFolder + path.Clean("/"+word)
}

// script is what a RUN runs when it is a here-document, or its command; why it
// can't be told otherwise.
func script(c command) (run, string) {
	is, ok := c.is.(*instructions.RunCommand)
	if !ok {
		return run{}, ""
	}
	if len(is.Files) == 0 {
		if len(is.CmdLine) == 0 {
			return run{}, "has no command"
		}
		if is.PrependShell {
			return run{text: strings.Join(is.CmdLine, " "), shell: true}, ""
		}
		return run{args: is.CmdLine}, ""
	}
	if len(is.CmdLine) != 1 || !is.PrependShell {
		return run{}, "a here-document can't be told from the command"
	}
	if !heredoc(is.CmdLine[0]) {
		// The shell reads them.
		text := is.CmdLine[0]
		for _, f := range is.Files {
			text += "\n" + f.Data + f.Name
		}
		return run{text: text, shell: true}, ""
	}
	text := is.Files[0].Data
	if is.Files[0].Chomp {
		text = parser.ChompHeredocContent(text)
	}
	return run{text: text, shell: !strings.HasPrefix(is.Files[0].Data, "#!")}, ""
}

// run is what a RUN runs: args, or a text for the shell, or a script that names
// its interpreter.
type run struct {
	args  []string
	text  string
	shell bool
}
