package overlay

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/format/diff"
	linediff "github.com/go-git/go-git/v5/utils/diff"
	"github.com/sergi/go-diff/diffmatchpatch"
	"sigs.k8s.io/kustomize/kyaml/yaml"

	"slipway/step/printable"
)

// Diff compares two renders of an overlay and returns their unified diff as
// git-diff(1) writes it: one part for each object that differs, named by kind
// and name, such as Deployment/hello, in the order of these names. It is empty
// when no object differs.
//
// The values of Secrets are never in it: a value is replaced by the beginning
// of its SHA-256, which still shows that it changes. What is not safe to show is escaped.
func Diff(what string, before, after []byte) ([]byte, error) {
	old, err := objects(what, before)
	if err != nil {
		return nil, err
	}
	fresh, err := objects(what, after)
	if err != nil {
		return nil, err
	}
	both := maps.Clone(old)
	maps.Copy(both, fresh)
	names := titles(both)
	var p patch
	for _, id := range slices.SortedFunc(maps.Keys(both), func(a, b identity) int { return strings.Compare(names[a], names[b]) }) {
		from, was := old[id]
		to, is := fresh[id]
		if was && is && from == to {
			continue
		}
		part := filePatch{chunks: chunks(from, to)}
		if was {
			part.from = side{names[id], from}
		}
		if is {
			part.to = side{names[id], to}
		}
		p = append(p, part)
	}
	var out bytes.Buffer
	if err := diff.NewUnifiedEncoder(&out, diff.DefaultContextLines).Encode(p); err != nil {
		return nil, fmt.Errorf("encode the diff of %s: %w", what, err)
	}
	return []byte(printable.Whole(out.String())), nil
}

// identity tells the objects of one render apart.
type identity struct {
	apiVersion, kind, namespace, name string
	// repeat counts objects that agree in everything else.
	repeat int
}

// objects are the objects of rendered manifests, each as YAML whose fields are
// sorted and without the values of Secrets.
func objects(what string, data []byte) (map[identity]string, error) {
	all, err := manifests(what, data)
	if err != nil {
		return nil, err
	}
	found := map[identity]string{}
	for _, object := range all {
		if object == nil {
			continue
		}
		var id identity
		if fields, ok := object.(map[string]any); ok {
			metadata, _ := fields["metadata"].(map[string]any)
			id = identity{
				apiVersion: text(fields["apiVersion"]), kind: text(fields["kind"]),
				namespace: text(metadata["namespace"]), name: text(metadata["name"]),
			}
		}
		for _, taken := found[id]; taken; _, taken = found[id] {
			id.repeat++
		}
		shown, err := yaml.Marshal(conceal(object))
		if err != nil {
			return nil, fmt.Errorf("encode an object of %s: %w", what, err)
		}
		found[id] = string(shown)
	}
	return found, nil
}

func text(value any) string {
	s, _ := value.(string)
	return s
}

// titles names objects by kind and name; those of which that is no name of
// their own, by everything there is.
func titles(all map[identity]string) map[identity]string {
	short := func(id identity) string { return plain(id.kind) + "/" + plain(id.name) }
	count := map[string]int{}
	for id := range all {
		count[short(id)]++
	}
	names := map[identity]string{}
	for id := range all {
		names[id] = short(id)
		if count[short(id)] == 1 {
			continue
		}
		names[id] = strings.Join([]string{plain(id.kind), plain(id.apiVersion), plain(id.namespace), plain(id.name)}, "/")
		if id.repeat > 0 {
			names[id] += fmt.Sprintf("#%d", id.repeat+1)
		}
	}
	return names
}

// plain makes a part of a name that can't be mistaken for more than that.
func plain(part string) string {
	if part == "" {
		return "-"
	}
	return strings.Map(func(c rune) rune {
		if c <= ' ' || c >= 0x7f {
			return '_'
		}
		return c
	}, part)
}

// lastApplied is the annotation in which kubectl keeps a copy of the object.
const lastApplied = "kubectl.kubernetes.io/last-applied-configuration"

// conceal returns value, decoded YAML, without what Secrets in it hold.
func conceal(value any) any {
	switch value := value.(type) {
	case []any:
		out := make([]any, len(value))
		for i, item := range value {
			out[i] = conceal(item)
		}
		return out
	case map[string]any:
		out := map[string]any{}
		for key, item := range value {
			out[key] = conceal(item)
		}
		if value["kind"] == "Secret" {
			for _, key := range []string{"data", "stringData"} {
				if held, ok := value[key]; ok && held != nil {
					out[key] = concealed(held)
				}
			}
			metadata, _ := out["metadata"].(map[string]any)
			annotations, _ := metadata["annotations"].(map[string]any)
			if copied, ok := annotations[lastApplied]; ok {
				annotations[lastApplied] = fingerprint(copied)
			}
		}
		return out
	}
	return value
}

// concealed keeps the keys of a Secret's data alone.
func concealed(held any) any {
	fields, ok := held.(map[string]any)
	if !ok {
		return fingerprint(held)
	}
	out := map[string]any{}
	for key, value := range fields {
		out[key] = fingerprint(value)
	}
	return out
}

// fingerprint is the beginning of a value's SHA-256.
func fingerprint(value any) string {
	sum := sha256.Sum256(fmt.Append(nil, value))
	return "sha256:" + hex.EncodeToString(sum[:6])
}

// chunks are the line by line differences of two texts.
func chunks(from, to string) []diff.Chunk {
	operations := map[diffmatchpatch.Operation]diff.Operation{
		diffmatchpatch.DiffEqual: diff.Equal, diffmatchpatch.DiffInsert: diff.Add, diffmatchpatch.DiffDelete: diff.Delete,
	}
	var out []diff.Chunk
	for _, d := range linediff.Do(from, to) {
		out = append(out, chunk{d.Text, operations[d.Type]})
	}
	return out
}

// The following are the parts of a diff as its encoder takes them.

type patch []diff.FilePatch

func (p patch) FilePatches() []diff.FilePatch { return p }
func (patch) Message() string                 { return "" }

// filePatch has a nil from for an object that is new, and a nil to for one
// that goes.
type filePatch struct {
	from, to diff.File
	chunks   []diff.Chunk
}

func (filePatch) IsBinary() bool                { return false }
func (p filePatch) Files() (from, to diff.File) { return p.from, p.to }
func (p filePatch) Chunks() []diff.Chunk        { return p.chunks }

type side struct{ name, content string }

func (s side) Hash() plumbing.Hash {
	return plumbing.ComputeHash(plumbing.BlobObject, []byte(s.content))
}
func (side) Mode() filemode.FileMode { return filemode.Regular }
func (s side) Path() string          { return s.name }

type chunk struct {
	content string
	kind    diff.Operation
}

func (c chunk) Content() string      { return c.content }
func (c chunk) Type() diff.Operation { return c.kind }
