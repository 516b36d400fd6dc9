package overlay

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/step"
)

const (
	repo = "localhost:5000/hello"
	file = "apps/hello/overlays/dev/kustomization.yaml"
)

func sum(n int) string { return fmt.Sprintf("sha256:%064x", n) }

func TestSetDigestChangesOneLine(t *testing.T) {
	d := sum(0xabc)
	for name, c := range map[string]struct{ before, after string }{
		"plain, with comments around it": {
			"# top\nimages:\n  # set by releases\n  - name: " + repo + " # the app\n    digest: " + Unreleased + "   # now\n  - name: other/x\n    digest: " + sum(1) + "\nnamespace: x # end",
			"# top\nimages:\n  # set by releases\n  - name: " + repo + " # the app\n    digest: " + d + "   # now\n  - name: other/x\n    digest: " + sum(1) + "\nnamespace: x # end",
		},
		"double quotes": {
			"images:\n- name: " + repo + "\n  digest: \"" + sum(1) + "\"\n",
			"images:\n- name: " + repo + "\n  digest: \"" + d + "\"\n",
		},
		"single quotes, digest first": {
			"images:\n- digest: '" + sum(1) + "' # x\n  name: " + repo + "\n",
			"images:\n- digest: '" + d + "' # x\n  name: " + repo + "\n",
		},
		"empty quotes": {
			"images:\n- name: " + repo + "\n  digest: \"\"\n",
			"images:\n- name: " + repo + "\n  digest: \"" + d + "\"\n",
		},
		"added below name": {
			"images:\n  -   name: " + repo + " # é\n# next\nnamespace: x\n",
			"images:\n  -   name: " + repo + " # é\n      digest: " + d + "\n# next\nnamespace: x\n",
		},
		"added below newName": {
			"images:\n- name: hello\n  newName: " + repo + "\nnamespace: x\n",
			"images:\n- name: hello\n  newName: " + repo + "\n  digest: " + d + "\nnamespace: x\n",
		},
		"added at the end of a file without a newline": {
			"images:\n- name: " + repo,
			"images:\n- name: " + repo + "\n  digest: " + d,
		},
		"CRLF stays CRLF": {
			"images:\r\n- name: " + repo + "\r\nnamespace: x\r\n",
			"images:\r\n- name: " + repo + "\r\n  digest: " + d + "\r\nnamespace: x\r\n",
		},
		"after characters of several bytes on the line": {
			"images: # über\n- {name: \"" + repo + "\", digest: \"" + sum(1) + "\"} # ünter\n",
			"images: # über\n- {name: \"" + repo + "\", digest: \"" + d + "\"} # ünter\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := SetDigest(file, []byte(c.before), repo, d)
			require.NoError(t, err)
			assert.Equal(t, c.after, string(got))
			again, err := SetDigest(file, got, repo, d)
			require.NoError(t, err)
			assert.Equal(t, c.after, string(again))
		})
	}
}

func TestSetDigestRefuses(t *testing.T) {
	for name, c := range map[string]struct{ source, reason, mend string }{
		"no images":        {"namespace: x\n", "has no images entry for " + repo, "add an entry"},
		"another image":    {"images:\n- name: localhost:5000/other\n", "has no images entry", "add an entry"},
		"renamed away":     {"images:\n- name: " + repo + "\n  newName: ghcr.io/x/hello\n", "has no images entry", "newName"},
		"two entries":      {"images:\n- name: " + repo + "\n- name: " + repo + "\n", "more than one", "keep one"},
		"a tag":            {"images:\n- name: " + repo + "\n  newTag: v1\n", "carries a tag", "remove newTag"},
		"a tag suffix":     {"images:\n- name: " + repo + "\n  tagSuffix: -x\n", "carries a tag", "tagSuffix"},
		"flow style":       {"images: [{name: \"" + repo + "\"}]\n", "can't be edited in place", "block"},
		"null digest":      {"images:\n- name: " + repo + "\n  digest:\n", "can't be edited in place", "block"},
		"anchored digest":  {"images:\n- name: " + repo + "\n  digest: &d " + sum(1) + "\n", "can't be edited in place", "plain"},
		"shared by alias":  {"x: &e\n  name: " + repo + "\nimages:\n- *e\n", "not a mapping", "block"},
		"two documents":    {"images: []\n---\nimages: []\n", "more than one YAML document", "one plain"},
		"not YAML":         {"images: [\n", "is not YAML", "YAML document"},
		"duplicate keys":   {"images: []\nimages: []\n", "is not valid YAML", "YAML document"},
		"a list":           {"- x\n", "is not a YAML mapping", "YAML document"},
		"images no list":   {"images: {name: x}\n", "not a list", "block list"},
		"images of text":   {"images: [x]\n", "not a mapping", "block list"},
		"empty":            {"", "is not YAML", "YAML document"},
		"not UTF-8":        {"images: \xff\n", "is not UTF-8", "YAML document"},
		"folded name":      {"images:\n- name: >-\n    " + repo + "\n", "", ""},
		"name on two line": {"images:\n- name:\n    " + repo + "\n", "can't be edited in place", "one line"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := SetDigest(file, []byte(c.source), repo, sum(2))
			fault, ok := step.AsFault(err)
			require.Truef(t, ok, "%v %q", err, got)
			assert.Equal(t, step.KindInput, fault.Kind)
			assert.Equal(t, "release", fault.Stage)
			assert.Contains(t, fault.Input, file)
			assert.Contains(t, fault.Reason, c.reason)
			assert.Contains(t, fault.Mend, c.mend)
			assert.Nil(t, got)
		})
	}
}

func TestFindNeedsToKnowWhich(t *testing.T) {
	one := "images:\n- name: a/b\n  newName: c/d\n  digest: " + sum(1) + "\n"
	image, err := Find(file, []byte(one), "")
	require.NoError(t, err)
	assert.Equal(t, Image{Name: "a/b", NewName: "c/d", Digest: sum(1)}, image)
	assert.Equal(t, "c/d", image.Repository())

	_, err = Find(file, []byte(one+"- name: e/f\n"), "")
	fault, ok := step.AsFault(err)
	require.True(t, ok)
	assert.Equal(t, "has 2 images entries", fault.Reason)
	assert.Contains(t, fault.Mend, "--repository")
}

// FuzzSetDigest checks on arbitrary sources that an edit which is not refused
// changes or adds exactly one line.
func FuzzSetDigest(f *testing.F) {
	f.Add("images:\n- name: " + repo + "\n  digest: " + Unreleased + " # x\n")
	f.Add("# a\nimages:\n  - name: " + repo + "\n    newName: ''\nx: 1\n")
	f.Add("images:\r\n- name: \"" + repo + "\"\r\n")
	f.Fuzz(func(t *testing.T, source string) {
		got, err := SetDigest(file, []byte(source), repo, sum(5))
		if err != nil {
			_, ok := step.AsFault(err)
			require.Truef(t, ok, "%v", err)
			return
		}
		before, after := strings.Split(source, "\n"), strings.Split(string(got), "\n")
		at := 0
		for at < len(before) && at < len(after) && before[at] == after[at] {
			at++
		}
		rest := len(after) - at - 1
		if len(after) == len(before)+1 {
			assert.Equal(t, before[at:], after[at+1:])
		} else if string(got) != source {
			require.Len(t, after, len(before))
			assert.Equal(t, before[len(before)-rest:], after[len(after)-rest:])
		}
	})
}
