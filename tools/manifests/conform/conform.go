// Package conform holds manifests to the schemas of their kinds, with
// kubeconform. Nothing is looked up outside the folder of schemas.
package conform

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/yannh/kubeconform/pkg/validator"
	"sigs.k8s.io/kustomize/kyaml/yaml"

	"slipway/step"
	"slipway/tools/manifests/schema"
	"slipway/tools/manifests/target"
)

const stage = "manifests"

// Generate is the command that writes the schemas.
const Generate = "go -C tools/manifests run . generate --helm PATH"

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
// not have, wrong values, missing ones, kinds without a schema.
func Check(ctx context.Context, schemas string, targets []target.Target) ([]Problem, error) {
	folder, err := filepath.Abs(schemas)
	if err != nil {
		return nil, err
	}
	kubeconform, err := validator.New([]string{filepath.ToSlash(folder) + "/" + schema.Location}, validator.Opts{Strict: true})
	if err != nil {
		return nil, fmt.Errorf("start kubeconform: %w", err)
	}
	var problems []Problem
	for _, t := range targets {
		objects := 0
		for _, result := range kubeconform.ValidateWithContext(ctx, t.Name, io.NopCloser(bytes.NewReader(t.Manifests))) {
			if result.Status == validator.Empty {
				continue
			}
			objects++
			found, err := judge(folder, t.Name, result)
			if err != nil {
				return nil, err
			}
			problems = append(problems, found...)
		}
		// A part may hold nothing but values for the kustomizations that name it.
		if objects == 0 && !t.Part {
			problems = append(problems, Problem{Target: t.Name, Object: "no object", Reason: "there is nothing to check"})
		}
	}
	return problems, ctx.Err()
}

// judge reads one of kubeconform's results.
func judge(folder, name string, result validator.Result) ([]Problem, error) {
	if result.Status == validator.Valid {
		return nil, nil
	}
	signature, err := result.Resource.Signature()
	problem := Problem{Target: name, Object: "an object"}
	if err == nil && signature != nil {
		problem.Object = signature.Kind + " " + strings.TrimPrefix(signature.Namespace+"/"+signature.Name, "/")
		kind := schema.Kind{APIVersion: signature.Version, Name: signature.Kind}
		_, err := os.Stat(filepath.Join(folder, filepath.FromSlash(kind.File())))
		if errors.Is(err, fs.ErrNotExist) {
			problem.Reason = fmt.Sprintf("there is no schema for %s: run `%s`", kind, Generate)
			return []Problem{problem}, nil
		}
		if err != nil {
			return nil, err
		}
	}
	var problems []Problem
	for _, e := range result.ValidationErrors {
		next := problem
		next.Field, next.Reason = e.Path, e.Msg
		problems = append(problems, next)
	}
	if len(problems) > 0 {
		return problems, nil
	}
	// Whatever is not said to be valid is not.
	problem.Reason = "kubeconform does not call it valid"
	if result.Err != nil {
		problem.Reason = result.Err.Error()
	}
	return []Problem{problem}, nil
}

// Kinds are the kinds of the targets' objects, sorted.
func Kinds(targets []target.Target) ([]schema.Kind, error) {
	var kinds []schema.Kind
	for _, t := range targets {
		documents := yaml.NewDecoder(bytes.NewReader(t.Manifests))
		for {
			var object struct {
				APIVersion string `yaml:"apiVersion"`
				Kind       string `yaml:"kind"`
			}
			err := documents.Decode(&object)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return nil, step.Input(stage, t.Name, "is not YAML: "+err.Error(), "correct the file").Because(err)
			}
			if object.APIVersion == "" && object.Kind == "" {
				continue // an empty document
			}
			if kind := (schema.Kind{APIVersion: object.APIVersion, Name: object.Kind}); !slices.Contains(kinds, kind) {
				kinds = append(kinds, kind)
			}
		}
	}
	slices.SortFunc(kinds, func(a, b schema.Kind) int { return strings.Compare(a.File(), b.File()) })
	return kinds, nil
}
