package overlay

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/kyaml/yaml"

	"slipway/step"
)

// Prove compares an overlay's manifests from before and after an edit. It
// passes, and returns the number of containers that use the image, only when
//
//   - at least one container uses repository,
//   - every container that uses it has exactly repository@digest afterwards,
//   - and nothing else differs.
//
// Everything else is a policy Fault with the differences as its details; what
// names the overlay in it.
func Prove(what string, before, after []byte, repository, digest string) (int, error) {
	old, err := manifests(what, before)
	if err != nil {
		return 0, err
	}
	fresh, err := manifests(what, after)
	if err != nil {
		return 0, err
	}
	p := proof{repository: repository, want: repository + "@" + digest}
	p.compare(nil, old, fresh)
	slices.Sort(p.wrong)
	slices.Sort(p.other)
	switch {
	case len(p.other) > 0:
		return 0, step.Policy(Stage, what, "the release would change more than the image of "+repository,
			"keep every other change out of the release: make it in a commit of its own", p.other...)
	case len(p.wrong) > 0:
		return 0, step.Policy(Stage, what, "a container would not run "+p.want,
			"let the overlay's images entry decide the image: no tag, patch or other entry for it", p.wrong...)
	case p.count == 0:
		return 0, step.Policy(Stage, what, "no container uses "+repository,
			"make the images entry's name match the image name in the base's manifests")
	}
	return p.count, nil
}

func manifests(what string, data []byte) ([]any, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var all []any
	for {
		var one any
		err := decoder.Decode(&one)
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, step.Input(Stage, what, "renders to something that is not YAML: "+err.Error(),
				"make the overlay render to Kubernetes manifests").Because(err)
		}
		all = append(all, one)
	}
}

// proof collects what a comparison found.
type proof struct {
	repository string
	want       string
	count      int
	wrong      []string
	other      []string
}

func (p *proof) compare(at []string, before, after any) {
	if image, ok := after.(string); ok && isContainerImage(at) && repositoryOf(image) == p.repository {
		p.count++
		if image != p.want {
			p.wrong = append(p.wrong, fmt.Sprintf("%s is %s", strings.Join(at, "."), image))
		}
		if was, ok := before.(string); ok && repositoryOf(was) == p.repository {
			return
		}
	}
	switch before := before.(type) {
	case []any:
		if after, ok := after.([]any); ok && len(before) == len(after) {
			for i := range before {
				p.compare(append(at, fmt.Sprint(i)), before[i], after[i])
			}
			return
		}
	case map[string]any:
		if after, ok := after.(map[string]any); ok && sameKeys(before, after) {
			for key := range before {
				p.compare(append(at, key), before[key], after[key])
			}
			return
		}
	}
	if !reflect.DeepEqual(before, after) {
		p.other = append(p.other, strings.Join(at, ".")+" would change")
	}
}

func sameKeys(a, b map[string]any) bool {
	for key := range a {
		if _, ok := b[key]; !ok {
			return false
		}
	}
	return len(a) == len(b)
}

// isContainerImage says whether a path ends in the image of a container, as
// in spec.template.spec.containers.0.image, or of an image volume, as in
// spec.template.spec.volumes.0.image.reference.
func isContainerImage(at []string) bool {
	if n := len(at); n > 3 && at[n-1] == "reference" && at[n-2] == "image" && at[n-4] == "volumes" {
		return true
	}
	if len(at) < 3 || at[len(at)-1] != "image" {
		return false
	}
	switch at[len(at)-3] {
	case "containers", "initContainers", "ephemeralContainers":
		return true
	}
	return false
}

// repositoryOf is an image reference without its digest and tag.
func repositoryOf(image string) string {
	image, _, _ = strings.Cut(image, "@")
	if colon := strings.LastIndexByte(image, ':'); colon > strings.LastIndexByte(image, '/') {
		image = image[:colon]
	}
	return image
}
