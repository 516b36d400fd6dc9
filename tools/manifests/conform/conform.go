// Package conform holds manifests to what a cluster says about their kinds.
package conform

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	k8syaml "sigs.k8s.io/yaml"

	"slipway/tools/manifests/target"
)

// Problem is one thing that is wrong with an object.
type Problem struct {
	// Target is what the object was rendered from.
	Target string
	// Object is its kind and name: Deployment hello-dev/hello.
	Object string
	// Field is where in the object, as a JSON pointer; empty for the whole.
	Field string
	// Reason says what is wrong.
	Reason string
}

// String is the problem on one line.
func (p Problem) String() string {
	where := p.Target + ": " + p.Object
	if p.Field != "" {
		where += " " + p.Field
	}
	return where + ": " + p.Reason
}

// Check returns what is wrong with the targets' objects: fields that a kind does
// not have, wrong values, missing ones, kinds that there are not.
func (k *Kinds) Check(targets []target.Target) ([]Problem, error) {
	var problems []Problem
	for _, t := range targets {
		documents, err := target.Documents(t.Name, t.Manifests)
		if err != nil {
			return nil, err
		}
		objects := 0
		for _, document := range documents {
			var read any
			if err := k8syaml.UnmarshalStrict(document, &read); err != nil {
				read = err
			}
			if read == nil {
				continue // an empty document
			}
			objects++
			found, err := k.judge(read)
			if err != nil {
				return nil, err
			}
			for _, problem := range found {
				problem.Target = t.Name
				problems = append(problems, problem)
			}
		}
		// A part may hold nothing but values for the kustomizations that name it.
		if objects == 0 && !t.Part {
			problems = append(problems, Problem{Target: t.Name, Object: "no object", Reason: "there is nothing to check"})
		}
	}
	return problems, nil
}

// judge returns what is wrong with what was read as an object.
func (k *Kinds) judge(read any) ([]Problem, error) {
	fields, ok := read.(object)
	if !ok {
		return []Problem{{Object: "an object", Reason: fmt.Sprintf("is none: %v", read)}}, nil
	}
	u := unstructured.Unstructured{Object: fields}
	problem := Problem{Object: strings.TrimSpace(u.GetKind() + " " + strings.TrimPrefix(u.GetNamespace()+"/"+u.GetName(), "/"))}
	schema, err := k.schema(u.GetAPIVersion() + " " + u.GetKind())
	if err != nil {
		return nil, err
	}
	if schema == nil {
		problem.Reason = fmt.Sprintf("the cluster has no kind %q of apiVersion %q", u.GetKind(), u.GetAPIVersion())
		return []Problem{problem}, nil
	}
	err = schema.Validate(read)
	var wrong *jsonschema.ValidationError
	if !errors.As(err, &wrong) {
		return nil, err
	}
	var problems []Problem
	english := message.NewPrinter(language.English)
	for _, cause := range causes(wrong) {
		problem.Field = ""
		for _, part := range cause.InstanceLocation {
			problem.Field += "/" + part
		}
		problem.Reason = cause.ErrorKind.LocalizedString(english)
		problems = append(problems, problem)
	}
	slices.SortStableFunc(problems, func(a, b Problem) int { return strings.Compare(a.Field, b.Field) })
	return problems, nil
}

// causes are the single errors that an error was made of.
func causes(e *jsonschema.ValidationError) []*jsonschema.ValidationError {
	if len(e.Causes) == 0 {
		return []*jsonschema.ValidationError{e}
	}
	var all []*jsonschema.ValidationError
	for _, cause := range e.Causes {
		all = append(all, causes(cause)...)
	}
	return all
}
