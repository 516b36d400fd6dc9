package overlay

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"strings"
	"unicode/utf8"

	"sigs.k8s.io/kustomize/kyaml/yaml"

	"slipway/step"
	"slipway/step/result/gitops"
)

// Unreleased is the digest of an overlay before its first release.
const Unreleased = gitops.Unreleased

// Image is an images entry of a kustomization, as the Kustomize reference
// describes it. A release uses name, newName and digest only.
type Image struct {
	// Name is the image name that the base's manifests use.
	Name string `yaml:"name"`
	// NewName replaces Name; empty keeps it.
	NewName string `yaml:"newName"`
	// NewTag and TagSuffix are refused: releases go by digest.
	NewTag    string `yaml:"newTag"`
	TagSuffix string `yaml:"tagSuffix"`
	// Digest is sha256:<64 hex>, or empty.
	Digest string `yaml:"digest"`
}

// Repository is the repository that the entry's images are pulled from.
func (i Image) Repository() string {
	if i.NewName != "" {
		return i.NewName
	}
	return i.Name
}

// entry is one images entry with its place in the source.
type entry struct {
	Image
	node *yaml.Node
}

// Find returns the one images entry of the kustomization in src, which file
// names in faults, whose images come from repository; or, when repository is
// empty, the only entry there is.
func Find(file string, src []byte, repository string) (Image, error) {
	_, entries, err := parse(file, src)
	if err != nil {
		return Image{}, err
	}
	if repository == "" {
		if len(entries) != 1 {
			return Image{}, step.Input(Stage, file, fmt.Sprintf("has %d images entries", len(entries)),
				"say which one with --repository")
		}
		return entries[0].Image, nil
	}
	found, err := pick(file, entries, repository)
	return found.Image, err
}

// SetDigest sets the digest of the one images entry whose images come from
// repository. Only that entry's digest line is changed, or added below its
// name when there is none: every other byte stays. It returns src itself when
// the digest is already set, and an input Fault when the entry is missing,
// ambiguous, carries a tag, or can't be edited in place.
func SetDigest(file string, src []byte, repository, digest string) ([]byte, error) {
	document, entries, err := parse(file, src)
	if err != nil {
		return nil, err
	}
	target, err := pick(file, entries, repository)
	if err != nil {
		return nil, err
	}
	if target.Digest == digest {
		return src, nil
	}
	edited, err := splice(file, src, target, digest)
	if err != nil {
		return nil, err
	}
	if err := verify(file, document, target, edited, digest); err != nil {
		return nil, err
	}
	return edited, nil
}

// parse reads the single YAML document of a kustomization and its images.
func parse(file string, src []byte) (*yaml.Node, []entry, error) {
	bad := func(reason string) error {
		return step.Input(Stage, file, reason, "write one plain YAML document with a block list under images:")
	}
	if !utf8.Valid(src) {
		return nil, nil, bad("is not UTF-8")
	}
	decoder := yaml.NewDecoder(bytes.NewReader(src))
	var document yaml.Node
	if err := decoder.Decode(&document); err != nil {
		return nil, nil, bad("is not YAML: " + err.Error())
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, nil, bad("holds more than one YAML document")
	}
	var content any
	if err := document.Decode(&content); err != nil {
		return nil, nil, bad("is not valid YAML: " + err.Error())
	}
	root := yaml.NewRNode(&document)
	if root.YNode().Kind != yaml.MappingNode {
		return nil, nil, bad("is not a YAML mapping")
	}
	field := root.Field("images")
	if field == nil || field.IsNilOrEmpty() {
		return &document, nil, nil
	}
	list := field.Value.YNode()
	if list.Kind != yaml.SequenceNode {
		return nil, nil, bad("has an images field that is not a list")
	}
	entries := make([]entry, 0, len(list.Content))
	for _, node := range list.Content {
		e := entry{node: node}
		if node.Kind != yaml.MappingNode {
			return nil, nil, bad(fmt.Sprintf("line %d: an images entry is not a mapping", node.Line))
		}
		if err := node.Decode(&e.Image); err != nil {
			return nil, nil, bad(fmt.Sprintf("line %d: %v", node.Line, err))
		}
		entries = append(entries, e)
	}
	return &document, entries, nil
}

// pick finds the one entry that may carry a digest of repository.
func pick(file string, entries []entry, repository string) (entry, error) {
	var found []entry
	var details []string
	for _, e := range entries {
		details = append(details, fmt.Sprintf("line %d: images of %s", e.node.Line, e.Repository()))
		if e.Repository() == repository {
			found = append(found, e)
		}
	}
	switch {
	case len(found) == 0:
		return entry{}, step.Input(Stage, file, "has no images entry for "+repository,
			"add an entry with that name (or newName) under images:", details...)
	case len(found) > 1:
		return entry{}, step.Input(Stage, file, "has more than one images entry for "+repository,
			"keep one of them", details...)
	}
	e := found[0]
	if e.NewTag != "" || e.TagSuffix != "" {
		return entry{}, step.Input(Stage, fmt.Sprintf("%s line %d", file, e.node.Line),
			"the images entry of "+repository+" carries a tag",
			"remove newTag and tagSuffix: a release goes by digest alone")
	}
	return e, nil
}

// splice replaces, or adds, the digest's text in the source.
func splice(file string, src []byte, e entry, digest string) ([]byte, error) {
	inPlace := func(line int) error {
		return step.Input(Stage, fmt.Sprintf("%s line %d", file, line), "the images entry can't be edited in place",
			"write it as a block: one line for name, one for digest, with plain values")
	}
	if value := yaml.NewRNode(e.node).Field("digest"); value != nil {
		node := value.Value.YNode()
		start, ok := offset(src, node.Line, node.Column)
		if !ok {
			return nil, inPlace(node.Line)
		}
		for _, quote := range []string{"", `"`, "'"} {
			old := quote + node.Value + quote
			if old != "" && bytes.HasPrefix(src[start:], []byte(old)) {
				return slice(src[:start], quote+digest+quote, src[start+len(old):]), nil
			}
		}
		return nil, inPlace(node.Line)
	}
	// The line goes below newName where there is one: name, newName, digest
	// is the order of Kustomize's own reference.
	after := yaml.NewRNode(e.node).Field("newName")
	if after == nil {
		after = yaml.NewRNode(e.node).Field("name")
	}
	if after == nil {
		// The name comes from elsewhere, through a merge key.
		return nil, inPlace(e.node.Line)
	}
	key, value := after.Key.YNode(), after.Value.YNode()
	if e.node.Style&yaml.FlowStyle != 0 || key.Line != value.Line || strings.Contains(value.Value, "\n") {
		return nil, inPlace(e.node.Line)
	}
	start, ok := offset(src, key.Line, 1)
	if !ok {
		return nil, inPlace(key.Line)
	}
	ending := "\n"
	length := bytes.IndexByte(src[start:], '\n')
	if length < 0 {
		length = len(src) - start
	} else if length > 0 && src[start+length-1] == '\r' {
		length--
		ending = "\r\n"
	}
	end := start + length
	line := ending + strings.Repeat(" ", key.Column-1) + "digest: " + digest
	return slice(src[:end], line, src[end:]), nil
}

func slice(head []byte, middle string, tail []byte) []byte {
	out := make([]byte, 0, len(head)+len(middle)+len(tail))
	out = append(out, head...)
	out = append(out, middle...)
	return append(out, tail...)
}

// offset turns a node's line and column, both from 1, columns in characters,
// into a byte offset.
func offset(src []byte, line, column int) (int, bool) {
	at := 0
	for ; line > 1; line-- {
		next := bytes.IndexByte(src[at:], '\n')
		if next < 0 {
			return 0, false
		}
		at += next + 1
	}
	for ; column > 1; column-- {
		if at >= len(src) {
			return 0, false
		}
		_, size := utf8.DecodeRune(src[at:])
		at += size
	}
	return at, at <= len(src)
}

// verify holds the edited bytes against the same edit made on the YAML tree:
// the two must mean the same.
func verify(file string, document *yaml.Node, e entry, edited []byte, digest string) error {
	if err := yaml.NewRNode(e.node).PipeE(yaml.SetField("digest", yaml.NewStringRNode(digest))); err != nil {
		return fmt.Errorf("set digest in %s: %w", file, err)
	}
	var want, got any
	if err := document.Decode(&want); err != nil {
		return fmt.Errorf("decode %s: %w", file, err)
	}
	err := yaml.NewDecoder(bytes.NewReader(edited)).Decode(&got)
	if err != nil || !reflect.DeepEqual(want, got) {
		return step.Input(Stage, fmt.Sprintf("%s line %d", file, e.node.Line),
			"the images entry can't be edited without changing something else",
			"write it as a block: one line for name, one for digest, without anchors").Because(err)
	}
	return nil
}

var repositoryPattern = regexp.MustCompile(`\A[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?(/[a-z0-9]+([._-]+[a-z0-9]+)*)+\z`)

// Repository checks that value names an image repository with its registry,
// without tag or digest, in the form of the OCI distribution specification.
func Repository(value string) error {
	if len(value) > 255 || !repositoryPattern.MatchString(value) {
		shown := value
		if len(shown) > 80 {
			shown = shown[:80] + "…"
		}
		return step.Input(Stage, fmt.Sprintf("repository %q", shown), "is not an image repository",
			"give registry/name, such as localhost:5000/hello, without tag or digest")
	}
	return nil
}
