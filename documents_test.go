package slipway_test

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	markdownLink = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	codeSpan     = regexp.MustCompile("`[^`]*`")
	heading      = regexp.MustCompile(`^#{1,6} +(.+?) *$`)
)

// prose is a document without what is code in it.
func prose(text string) string {
	var kept []string
	fenced := false
	for line := range strings.Lines(text) {
		switch {
		case strings.HasPrefix(line, "```"):
			fenced = !fenced
		case !fenced && !strings.HasPrefix(line, "    "):
			kept = append(kept, codeSpan.ReplaceAllString(line, ""))
		}
	}
	return strings.Join(kept, "")
}

// links are where a document points to.
func links(text string) []string {
	var list []string
	for _, found := range markdownLink.FindAllStringSubmatch(prose(text), -1) {
		list = append(list, found[1])
	}
	return list
}

// anchors are the fragments that GitHub gives to a document's headings.
func anchors(text string) map[string]bool {
	found, count := map[string]bool{}, map[string]int{}
	fenced := false
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if strings.HasPrefix(line, "```") {
			fenced = !fenced
		}
		match := heading.FindStringSubmatch(line)
		if fenced || match == nil {
			continue
		}
		anchor := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsNumber(r):
				return unicode.ToLower(r)
			}
			return -1
		}, match[1])
		if n := count[anchor]; n > 0 {
			found[fmt.Sprintf("%s-%d", anchor, n)] = true
		}
		count[anchor]++
		found[anchor] = true
	}
	return found
}

// broken says what is wrong with a link of a document; empty is nothing. A link to
// another site is not followed.
func broken(document, link string) string {
	target, err := url.Parse(link)
	switch {
	case err != nil:
		return err.Error()
	case target.Scheme == "https":
		return ""
	case target.Scheme != "" || target.Host != "" || strings.HasPrefix(target.Path, "/"):
		return "it is neither a path from the document nor https"
	}
	file := document
	if target.Path != "" {
		file = filepath.Join(filepath.Dir(document), filepath.FromSlash(target.Path))
	}
	if !filepath.IsLocal(file) {
		return "it leaves the repository"
	}
	if _, err := os.Stat(file); err != nil {
		return "there is no " + file
	}
	if target.Fragment == "" {
		return ""
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	if !anchors(string(data))[target.Fragment] {
		return file + " has no heading for #" + target.Fragment
	}
	return ""
}

func TestEveryLinkLeadsSomewhere(t *testing.T) {
	followed := 0
	for _, document := range find(t, ".md") {
		for _, link := range links(readFile(t, document)) {
			assert.Empty(t, broken(document, link), "%s: %s", document, link)
			followed++
		}
	}
	assert.Greater(t, followed, 40)
}

// TestEveryPageIsLinkedFromREADME: a page that the first one does not name is not found.
func TestEveryPageIsLinkedFromREADME(t *testing.T) {
	linked := map[string]bool{}
	for _, link := range links(readFile(t, "README.md")) {
		path, _, _ := strings.Cut(link, "#")
		linked[path] = true
	}
	pages, err := filepath.Glob("docs/*")
	require.NoError(t, err)
	require.Greater(t, len(pages), 10)
	for _, page := range pages {
		assert.True(t, linked[filepath.ToSlash(page)], "README.md does not name %s", page)
	}
}

// TestREADMEIsAFirstPage: what explains further belongs into a page of its own.
func TestREADMEIsAFirstPage(t *testing.T) {
	text := readFile(t, "README.md")
	assert.Less(t, len(strings.Fields(text)), 1000)
	before, _, found := strings.Cut(text, "go tool task ")
	require.True(t, found)
	assert.Contains(t, before, "## Before you start", "what has to be there is said before the first command")
}

// TestREADMEShowsAReceipt: the lines of the sample are those that are printed today.
func TestREADMEShowsAReceipt(t *testing.T) {
	_, sample, found := strings.Cut(readFile(t, "README.md"), "    hello is released to dev\n")
	require.True(t, found)
	sample, _, _ = strings.Cut(sample, "\n\n")
	printed := readFile(t, "ci/receipt.go")
	at := 0
	for line := range strings.Lines(sample) {
		label, value, found := strings.Cut(strings.TrimSpace(line), "  ")
		require.True(t, found, line)
		assert.NotEmpty(t, strings.TrimSpace(value), line)
		next := strings.Index(printed[at:], `{"`+label+`", `)
		require.GreaterOrEqual(t, next, 0, "the receipt prints no %s here", label)
		at += next
	}
	assert.Positive(t, at)
}

// TestThePictureStandsAlone: it is read in light and dark, by whoever sees it or not, and
// its stages are those of docs/stages.md.
func TestThePictureStandsAlone(t *testing.T) {
	stages := readFile(t, "docs/stages.md")
	text := readFile(t, "docs/journey.svg")
	decoder := xml.NewDecoder(strings.NewReader(text))
	elements, class, named := map[string]int{}, "", 0
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		switch token := token.(type) {
		case xml.StartElement:
			elements[token.Name.Local]++
			class = ""
			for _, attribute := range token.Attr {
				assert.NotContains(t, []string{"href", "onload", "onclick", "src"}, attribute.Name.Local)
				if attribute.Name.Local == "class" {
					class = attribute.Value
				}
			}
		case xml.CharData:
			if name := string(token); class == "name" && !slices.Contains([]string{"commit", "registry", "GitOps repository", "Argo CD", "receipt"}, name) {
				assert.Contains(t, stages, "\n| "+name+" | ")
				named++
			}
			class = ""
		}
	}
	assert.Equal(t, 9, named)
	assert.Equal(t, 1, elements["title"])
	assert.Equal(t, 1, elements["desc"])
	assert.Zero(t, elements["script"]+elements["image"]+elements["foreignObject"])
	assert.Contains(t, text, "@media (prefers-color-scheme: dark)")
}

func TestBrokenLinksAreSeen(t *testing.T) {
	text := "# A page\n\n## What `it` says, twice\n\nSee [x](y.md) and ![p](p.svg).\n\n    [not](code.md)\n\n```\n# no heading\n[not](code.md)\n```\n`[not](code.md)`\n\n## What it says, twice\n"
	assert.Equal(t, []string{"y.md", "p.svg"}, links(text))
	assert.Equal(t, map[string]bool{"a-page": true, "what-it-says-twice": true, "what-it-says-twice-1": true}, anchors(text))
	for link, wanted := range map[string]string{
		"https://example.org/nowhere":        "",
		"azure.md":                           "",
		"../README.md#two-commands":          "",
		"#1-sign-in":                         "",
		"#2-sign-out":                        "docs/azure.md has no heading for #2-sign-out",
		"nowhere.md":                         "there is no docs/nowhere.md",
		"../../other":                        "it leaves the repository",
		"/etc/passwd":                        "it is neither a path from the document nor https",
		"http://example.org":                 "it is neither a path from the document nor https",
		"//example.org/x":                    "it is neither a path from the document nor https",
		"%zz":                                `parse "%zz": invalid URL escape "%zz"`,
		"../CONTRIBUTING.md#no-such-heading": "CONTRIBUTING.md has no heading for #no-such-heading",
	} {
		assert.Equal(t, wanted, broken("docs/azure.md", link), link)
	}
}
