package main

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"html"
	"net/url"
	"path"
	"strings"

	"slipway/step/result/build"
)

// pipPages are the pages of an index (PEP 503), which every pip reads.
func pipPages(packages []build.Package, _ string) (map[string]page, error) {
	links := map[string]string{}
	for _, p := range packages {
		sum, ok := strings.CutPrefix(p.Integrity, "sha256-")
		bytes, err := base64.StdEncoding.DecodeString(sum)
		if !ok || err != nil {
			return nil, fmt.Errorf("%q has no sha256", p.Path)
		}
		address := url.URL{Path: p.Path, Fragment: "sha256=" + hex.EncodeToString(bytes)}
		links[p.Name] += fmt.Sprintf("<a href=\"%s\">%s</a>\n", html.EscapeString(address.String()), html.EscapeString(path.Base(p.Path)))
	}
	pages := map[string]page{}
	for name, text := range links {
		pages[build.PipIndex+name+"/"] = page{"text/html; charset=utf-8", []byte("<!DOCTYPE html>\n" + text)}
	}
	return pages, nil
}

// sourceDate is for the wheels that pip builds, whose zip files know no earlier time,
// and for the bytecode that it compiles: with it they are the same each time.
const sourceDate = "315532800"

// pipSettings have pip ask the index at an address, and leave nothing of it behind.
func pipSettings(address string) []setting {
	index := address + build.PipIndex
	return []setting{
		{"PIP_INDEX_URL", index, true},
		// Or that of a pip.conf would count.
		{"PIP_EXTRA_INDEX_URL", index, true},
		{"PIP_PROXY", "", true},
		{"PIP_NO_CACHE_DIR", "1", false},
		{"PIP_DISABLE_PIP_VERSION_CHECK", "1", false},
		{"SOURCE_DATE_EPOCH", sourceDate, false},
	}
}
