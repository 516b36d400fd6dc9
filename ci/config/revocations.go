package config

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	"slipway/ci/rules"
	"slipway/step"
	"slipway/step/printable"
)

// RevocationsFile is the platform's file that takes images back. The cluster's policies
// lie beside it: admission reads the same one.
const RevocationsFile = "gitops/platform/policies/revocations.yaml"

// maxReason is the longest reason of a revocation, in bytes.
const maxReason = 500

// Revocations reads and checks RevocationsFile: strictly, because an entry that is not
// understood would take nothing back. Environments are those that there are. Without a
// file there is none.
func Revocations(data []byte, environments []string) ([]rules.Revocation, error) {
	var file struct {
		Revocations []rules.Revocation `yaml:"revocations"`
	}
	if len(data) == 0 {
		return nil, nil
	}
	if err := decode(RevocationsFile, data, &file); err != nil {
		return nil, err
	}
	for n, r := range file.Revocations {
		at := fmt.Sprintf("%s: revocations[%d]", RevocationsFile, n)
		if err := step.Name(stage, at+".app", r.App); err != nil {
			return nil, err
		}
		if err := step.Digest(stage, at+".digest", r.Digest); err != nil {
			return nil, err
		}
		switch {
		case r.Reason == "" || len(r.Reason) > maxReason || !printable.IsLine(r.Reason):
			return nil, step.Input(stage, fmt.Sprintf("%s.reason %.80q", at, r.Reason), "is not a reason", fmt.Sprintf("say in a line of at most %d bytes why the image is taken back", maxReason))
		case !goodAuthor(r.By):
			return nil, step.Input(stage, fmt.Sprintf("%s.by %.80q", at, r.By), "is not who takes it back", "give a name or an e-mail address")
		case r.At.IsZero():
			return nil, step.Input(stage, at+".at", "is missing", "give the time, such as 2026-11-29T12:00:00Z")
		}
		for _, env := range r.Environments {
			if !slices.Contains(environments, env) {
				return nil, step.Input(stage, fmt.Sprintf("%s.environments %.80q", at, env), "is not an environment", "use one of "+strings.Join(environments, ", ")+"; without any, the image is taken back everywhere")
			}
		}
	}
	return file.Revocations, nil
}

// Revoke adds entries to RevocationsFile, which may be empty, and keeps what is there.
// What is revoked already, wherever the entry would revoke it, is not added again.
func Revoke(data []byte, environments []string, entries ...rules.Revocation) ([]byte, error) {
	if len(data) == 0 {
		data = []byte("# Images that are neither released nor let into a cluster any more.\nrevocations: []\n")
	}
	there, err := Revocations(data, environments)
	if err != nil {
		return nil, err
	}
	var added []rules.Revocation
	for _, e := range entries {
		wanted := e.Environments
		if len(wanted) == 0 {
			wanted = environments
		}
		if slices.ContainsFunc(wanted, func(env string) bool { return rules.Revoked(slices.Concat(there, added), e.Digest, env) == nil }) {
			added = append(added, e)
		}
	}
	if len(added) == 0 {
		return data, nil
	}
	var file yaml.Node
	if err := yaml.Unmarshal(data, &file); err != nil {
		return nil, err
	}
	keys := file.Content[0]
	if len(keys.Content) == 0 { // {}
		keys.Style, keys.Content = 0, append(keys.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: "revocations"}, &yaml.Node{})
	}
	list := keys.Content[1]
	list.Kind, list.Tag, list.Value, list.Style = yaml.SequenceNode, "!!seq", "", 0
	for _, e := range added {
		node := &yaml.Node{}
		if err := node.Encode(e); err != nil {
			return nil, err
		}
		list.Content = append(list.Content, node)
	}
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := encoder.Encode(&file); err != nil {
		return nil, err
	}
	// The entries are checked as they will be read.
	written, err := Revocations(out.Bytes(), environments)
	if err != nil {
		return nil, err
	}
	if !slices.EqualFunc(written, slices.Concat(there, added), sameRevocation) {
		return nil, step.Input(stage, RevocationsFile, "can't be added to as it is written", "write it as a list below revocations, without anchors")
	}
	return out.Bytes(), nil
}

func sameRevocation(a, b rules.Revocation) bool {
	return a.App == b.App && a.Digest == b.Digest && a.Reason == b.Reason && a.By == b.By && a.At.Equal(b.At) && slices.Equal(a.Environments, b.Environments)
}
