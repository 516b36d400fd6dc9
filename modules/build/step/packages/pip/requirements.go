// Package pip reads pip's requirements files in their hash-checking form, and finds
// what they pin in a simple index.
package pip

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"slipway/build/step/packages"
	"slipway/step"
	"slipway/step/result/build"
)

// anew is how a lock file is made anew.
const anew = "make the file anew, such as with pip-compile --generate-hashes or uv pip compile --generate-hashes, and commit it"

// requirement is a release that a file pins.
type requirement struct {
	// name is normalized.
	name, version string
	// hashes are the sha256 that its files may have, in hexadecimal.
	hashes []string
	// marked says that a marker decides whether it is wanted.
	marked bool
	// at is the file and the line.
	at string
}

// normalize is a name as indexes have it (PEP 503).
func normalize(name string) string {
	return strings.ToLower(separators.ReplaceAllString(name, "-"))
}

var (
	separators = regexp.MustCompile(`[-_.]+`)
	comment    = regexp.MustCompile(`(^|\s+)#.*$`)
	// release is a requirement without its hashes: name, extras, version, marker.
	release = regexp.MustCompile(`\A([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(?:\[[A-Za-z0-9._, -]*\])?\s*==\s*([0-9A-Za-z][0-9A-Za-z.!+_-]*)\s*(?:;\s*([A-Za-z0-9_.'"<>=!~(),*+ -]+))?\z`)
	named   = regexp.MustCompile(`\A[A-Za-z0-9][A-Za-z0-9._-]*`)
	hash    = regexp.MustCompile(`\A--hash=sha256:([0-9a-f]{64})\z`)
	// elsewhere is what pip takes for an address or a path.
	elsewhere = regexp.MustCompile(`\A(?i:(git|hg|svn|bzr)\+|[a-z][a-z0-9+.-]*:)|[/\\]|\.(whl|zip|tar|gz|tgz|bz2|xz)\z|\A\.`)
)

// The options that change nothing about what is fetched, and what their value may be.
var (
	harmless = []string{"--require-hashes", "--prefer-binary", "--only-binary", "--no-binary"}
	formats  = regexp.MustCompile(`\A([A-Za-z0-9:][A-Za-z0-9:._,-]*)?\z`)
)

// include is another file that a file names.
type include struct{ file, at string }

// parse reads a requirements file: every requirement in it is NAME==VERSION with one
// sha256 or more. What it includes is named from the app's folder.
//
// Faults are KindInput for what is no text, KindPolicy for anything that is not pinned
// or comes from elsewhere; they name each line.
func parse(file string, content []byte, most int) ([]requirement, []include, error) {
	if !utf8.Valid(content) {
		return nil, nil, step.Input(packages.Stage, file, "is not UTF-8", anew)
	}
	text := strings.TrimPrefix(strings.ReplaceAll(string(content), "\r\n", "\n"), "\ufeff")
	if i := strings.IndexFunc(text, ends); i >= 0 {
		return nil, nil, step.Input(packages.Stage, fmt.Sprintf("%s:%d", file, 1+strings.Count(text[:i], "\n")), "has a control character, which may end a line", anew)
	}
	var all []requirement
	var includes []include
	var refusals []string
	for _, l := range logical(text) {
		if l.text == "" {
			continue
		}
		at := fmt.Sprintf("%s:%d", file, l.number)
		if strings.HasPrefix(l.text, "-") {
			included, reason := option(file, l.text)
			switch {
			case reason != "":
				refusals = append(refusals, at+": "+reason)
			case included != "":
				includes = append(includes, include{included, at})
			}
			continue
		}
		r, reason := pin(l.text)
		if reason != "" {
			refusals = append(refusals, at+": "+reason)
			continue
		}
		r.at = at + ": " + r.name
		all = append(all, r)
		if len(all) > most {
			return nil, nil, step.Policy(packages.Stage, file, fmt.Sprintf("names more than %d packages", most), "depend on fewer packages")
		}
	}
	if len(refusals) > 0 {
		return nil, nil, step.Policy(packages.Stage, file, "is not pinned by pip's hash-checking form",
			"write each requirement as NAME==VERSION with its --hash=sha256:…, and name no other source: "+anew+" (a file that isn't for the build can be left out by .dockerignore)", packages.Few(refusals)...)
	}
	return all, includes, nil
}

// ends says whether a character ends a line for Python, or hides what comes.
func ends(r rune) bool {
	return r < ' ' && r != '\n' && r != '\t' || r >= 0x7f && r < 0xa0 || r == '\u2028' || r == '\u2029'
}

// line is one that pip reads, with the number of its first.
type line struct {
	number int
	text   string
}

// logical are the lines as pip reads them: what ends with a backslash goes on in the
// next line, unless it is a comment; comments are left out.
func logical(text string) []line {
	var all []line
	var joined strings.Builder
	first := 0
	add := func(number int, text string) {
		all = append(all, line{number, strings.TrimSpace(comment.ReplaceAllString(text, ""))})
	}
	for i, l := range strings.Split(text, "\n") {
		whole := strings.HasPrefix(strings.TrimSpace(l), "#")
		if strings.HasSuffix(l, `\`) && !whole {
			if first == 0 {
				first = i + 1
			}
			joined.WriteString(strings.Trim(l, `\`))
			continue
		}
		if whole {
			l = " " + l
		}
		if first == 0 {
			first = i + 1
		}
		joined.WriteString(l)
		add(first, joined.String())
		joined.Reset()
		first = 0
	}
	if first != 0 {
		add(first, joined.String())
	}
	return all
}

// option reads a line that is an option: the file that it includes, if it is one of
// the app's, or why it is refused.
func option(file, text string) (included, reason string) {
	word, value, _ := strings.Cut(text, " ")
	name, joined, _ := strings.Cut(word, "=")
	if !strings.HasPrefix(word, "--") && len(word) > 2 {
		name, joined = word[:2], word[2:]
	}
	value = strings.TrimSpace(joined + value)
	switch {
	case slices.Contains(harmless, name) && formats.MatchString(value):
		return "", ""
	case name == "-e" || name == "--editable":
		return "", fmt.Sprintf("%.200q is editable, and so not pinned", packages.Redacted(value))
	case !slices.Contains([]string{"-r", "--requirement", "-c", "--constraint"}, name):
		// The value may hold a password.
		return "", fmt.Sprintf("%.80q: the platform says where packages come from, by build.pip.index of slipway.yaml, and no other option than -r, -c and %s is known", name, strings.Join(harmless, ", "))
	case !plainPath.MatchString(value):
		return "", fmt.Sprintf("%s %.200q is no plain path", name, packages.Redacted(value))
	case !strings.HasSuffix(value, build.RequirementsEnd):
		return "", fmt.Sprintf("%s %.200q does not end with %s, as the lock files of an app do", name, value, build.RequirementsEnd)
	}
	included = path.Join(path.Dir(file), value)
	if included == ".." || strings.HasPrefix(included, "../") {
		return "", fmt.Sprintf("%s %.200q is outside of the app", name, value)
	}
	return included, ""
}

// plainPath is a relative path that says the same to whoever reads it.
var plainPath = regexp.MustCompile(`\A([A-Za-z0-9._-][A-Za-z0-9._+-]*/)*[A-Za-z0-9._][A-Za-z0-9._+-]*\z`)

// pin reads a line that is a requirement, or says why it is refused.
func pin(text string) (requirement, string) {
	var r requirement
	words := strings.Fields(text)
	n := slices.IndexFunc(words, func(w string) bool { return strings.HasPrefix(w, "-") })
	if n < 0 {
		n = len(words)
	}
	what := strings.Join(words[:n], " ")
	found := release.FindStringSubmatch(what)
	if found == nil {
		return r, unpinned(what)
	}
	r.name, r.version, r.marked = normalize(found[1]), found[2], found[3] != ""
	if len(r.name) > 214 || len(r.version) > 256 {
		return r, fmt.Sprintf("%.80q has too long a name or version", what)
	}
	for _, word := range words[n:] {
		sum := hash.FindStringSubmatch(word)
		if sum == nil {
			return r, fmt.Sprintf("%s: %.200q is no --hash=sha256:… of 64 lower-case hexadecimal digits, and nothing else may stand there", found[1], word)
		}
		if !slices.Contains(r.hashes, sum[1]) {
			r.hashes = append(r.hashes, sum[1])
		}
	}
	if len(r.hashes) == 0 {
		return r, found[1] + " has no --hash=sha256:…"
	}
	return r, ""
}

// unpinned says why text is no pinned requirement.
func unpinned(text string) string {
	before, _, _ := strings.Cut(text, ";")
	name, address, direct := strings.Cut(before, "@")
	switch {
	case direct && strings.TrimSpace(name) == named.FindString(name) && name != "":
		return fmt.Sprintf("%s comes from %.200q, not from the platform's index", strings.TrimSpace(name), packages.Redacted(strings.TrimSpace(address)))
	case elsewhere.MatchString(strings.TrimSpace(before)):
		return fmt.Sprintf("%.200q is an address or a path, not a release of the platform's index", packages.Redacted(text))
	}
	return fmt.Sprintf("%.200q is not pinned as NAME==VERSION", text)
}
