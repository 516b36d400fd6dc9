package pip

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"

	"golang.org/x/net/html"

	"slipway/build/step/packages"
	"slipway/step"
)

// accept are the forms of a page, in the order in which they are wanted.
const accept = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"

// file is what an index says about a file: an empty sum where it says none.
type file struct {
	name, sum string
	url       *url.URL
}

// pages are those of projects, each asked for once.
type pages struct {
	client *packages.Client
	mu     sync.Mutex
	known  map[string]func() ([]file, error)
}

// of are the files of a project.
func (p *pages) of(ctx context.Context, r requirement) ([]file, error) {
	p.mu.Lock()
	if p.known == nil {
		p.known = map[string]func() ([]file, error){}
	}
	page, ok := p.known[r.name]
	if !ok {
		page = sync.OnceValues(func() ([]file, error) { return p.ask(ctx, r) })
		p.known[r.name] = page
	}
	p.mu.Unlock()
	return page()
}

func (p *pages) ask(ctx context.Context, r requirement) (files []file, err error) {
	address := p.client.Base.JoinPath(r.name, "/").String()
	err = p.client.Get(ctx, r.at, address, accept, func(response *http.Response) error {
		body, err := p.client.Body(r.at, response)
		if err != nil {
			return err
		}
		files, err = readPage(response.Header.Get("Content-Type"), body, response.Request.URL)
		if err != nil {
			return step.Infrastructure(packages.Stage, r.at, "is on a page of the index that can't be read: "+address+": "+err.Error(),
				"have the platform name, as build.pip.index, the address of a simple index, such as https://host/simple")
		}
		return nil
	})
	return files, err
}

// files are those of a release that its hashes name and that are for a platform that
// images are for. A release that only others have is refused, unless a marker says
// who wants it.
func (p *pages) files(ctx context.Context, r requirement) ([]packages.Pinned, error) {
	all, err := p.of(ctx, r)
	if err != nil {
		return nil, err
	}
	var found []packages.Pinned
	there, unnamed := false, false
	for _, f := range all {
		unnamed = unnamed || f.sum == ""
		if !slices.Contains(r.hashes, f.sum) || !fileName.MatchString(f.name) {
			continue
		}
		if !p.client.May(f.url) {
			return nil, step.Policy(packages.Stage, r.at, "is at "+f.url.Redacted()+", says the index", "name an index, as build.pip.index, that has its files at https addresses of its own")
		}
		if there = true; wanted(f.name) {
			found = append(found, r.pinned(f))
		}
	}
	switch {
	case len(found) > 0 || there && r.marked:
		return found, nil
	case there:
		return nil, step.Input(packages.Stage, r.at, "has no file for linux on amd64 or arm64", "add the hashes of its source or of such wheels, or a marker that says where it is wanted")
	case unnamed:
		return nil, step.Input(packages.Stage, r.at, fmt.Sprintf("is not in the index by its hashes: it names no sha256 of some files of %s", r.name), "have the platform name an index that does, as build.pip.index")
	}
	return nil, step.Input(packages.Stage, r.at, fmt.Sprintf("is not in the index: none of its files has one of the %d hashes of %s==%s", len(r.hashes), r.name, r.version), "see that the version is published there, then "+anew)
}

// fileName is that of a wheel or a source distribution.
var fileName = regexp.MustCompile(`\A[A-Za-z0-9][A-Za-z0-9._+!-]{0,250}\.(whl|tar\.gz|tgz|tar\.bz2|tar\.xz|zip)\z`)

// wanted says whether a file is for a platform that images are for, or for any.
func wanted(name string) bool {
	wheel, ok := strings.CutSuffix(name, ".whl")
	if !ok {
		return true
	}
	tags := wheel[strings.LastIndex(wheel, "-")+1:]
	for tag := range strings.SplitSeq(tags, ".") {
		linux := strings.HasPrefix(tag, "linux_") || strings.HasPrefix(tag, "manylinux") || strings.HasPrefix(tag, "musllinux")
		if tag == "any" || linux && (strings.HasSuffix(tag, "_x86_64") || strings.HasSuffix(tag, "_aarch64")) {
			return true
		}
	}
	return false
}

// readPage reads a project's page (PEP 503, 629 and 691) from an address.
func readPage(contentType string, body []byte, from *url.URL) ([]file, error) {
	kind, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		return nil, fmt.Errorf("its type is %.80q", contentType)
	}
	switch kind {
	case "application/vnd.pypi.simple.v1+json":
		return readJSON(body, from)
	case "application/vnd.pypi.simple.v1+html", "text/html":
		return readHTML(body, from)
	}
	return nil, fmt.Errorf("its type is %.80q", kind)
}

// version refuses a page of another major version than 1.
func version(v string) error {
	if major, _, _ := strings.Cut(v, "."); major != "1" {
		return fmt.Errorf("its version is %.80q, and 1 is known", v)
	}
	return nil
}

func readJSON(body []byte, from *url.URL) ([]file, error) {
	var page struct {
		Meta struct {
			Version string `json:"api-version"`
		} `json:"meta"`
		Files []struct {
			Name   string `json:"filename"`
			URL    string `json:"url"`
			Hashes struct {
				SHA256 string `json:"sha256"`
			} `json:"hashes"`
		} `json:"files"`
	}
	if err := json.Unmarshal(body, &page); err != nil {
		return nil, err
	}
	if err := version(page.Meta.Version); err != nil {
		return nil, err
	}
	var all []file
	for _, f := range page.Files {
		at, err := from.Parse(f.URL)
		if err != nil {
			return nil, errors.New("an address on it can't be read")
		}
		at.Fragment = ""
		all = append(all, file{name: f.Name, sum: strings.ToLower(f.Hashes.SHA256), url: at})
	}
	return all, nil
}

func readHTML(body []byte, from *url.URL) ([]file, error) {
	var all []file
	for tokens := html.NewTokenizer(bytes.NewReader(body)); ; {
		switch tokens.Next() {
		case html.ErrorToken:
			if err := tokens.Err(); !errors.Is(err, io.EOF) {
				return nil, err
			}
			return all, nil
		case html.StartTagToken, html.SelfClosingTagToken:
			token := tokens.Token()
			switch {
			case token.Data == "meta" && attribute(token, "name") == "pypi:repository-version":
				if err := version(attribute(token, "content")); err != nil {
					return nil, err
				}
			case (token.Data == "base" || token.Data == "a") && attribute(token, "href") != "":
				at, err := from.Parse(strings.TrimSpace(attribute(token, "href")))
				if err != nil {
					return nil, errors.New("an address on it can't be read")
				}
				if token.Data == "base" {
					from = at
					continue
				}
				f := file{name: path.Base(at.Path), url: at}
				if sum, ok := strings.CutPrefix(at.Fragment, "sha256="); ok {
					f.sum = strings.ToLower(sum)
				}
				at.Fragment = ""
				all = append(all, f)
			}
		}
	}
}

func attribute(token html.Token, name string) string {
	for _, a := range token.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}
