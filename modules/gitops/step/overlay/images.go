package overlay

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/kyaml/yaml"

	"slipway/step/result/gitops"
)

// Images are the images that rendered manifests name, in their order, each with its
// object and its place there: every text of a field named image, of a container of
// whatever kind, an image volume or a custom resource, and of the fields named in also.
// What only holds text (data, metadata) names none.
func Images(what string, rendered []byte, also []string) ([]gitops.Used, error) {
	all, err := manifests(what, rendered)
	if err != nil {
		return nil, err
	}
	found := []gitops.Used{}
	for _, object := range all {
		f := finder{object: title(object), fields: append([]string{"image"}, also...)}
		for _, key := range f.keys(object) {
			if held := strings.HasSuffix(strings.ToLower(key), "data"); held && slices.Contains([]any{"ConfigMap", "Secret"}, member(object, "kind")) {
				continue
			}
			f.visit(key, key, member(object, key))
		}
		found = append(found, f.found...)
	}
	return found, nil
}

// finder collects the images of one object.
type finder struct {
	object string
	fields []string
	found  []gitops.Used
}

// keys are those of a mapping as Kubernetes reads them: also a number is a name.
func (*finder) keys(value any) []string {
	var keys []string
	switch value := value.(type) {
	case map[string]any:
		return slices.Sorted(maps.Keys(value))
	case map[any]any:
		for key := range value {
			keys = append(keys, fmt.Sprint(key))
		}
	}
	slices.Sort(keys)
	return keys
}

func member(value any, name string) any {
	switch value := value.(type) {
	case map[string]any:
		return value[name]
	case map[any]any:
		for key, item := range value {
			if fmt.Sprint(key) == name {
				return item
			}
		}
	}
	return nil
}

// visit looks for images in the value of a field, which is at a place.
func (f *finder) visit(place, name string, value any) {
	if name == "metadata" {
		return
	}
	switch item := value.(type) {
	case string:
		if slices.Contains(f.fields, name) {
			f.found = append(f.found, gitops.Used{Object: f.object, Place: place, Image: item})
		}
	case []any:
		for n, one := range item {
			at := fmt.Sprint(n)
			if named, ok := member(one, "name").(string); ok {
				at = named
			}
			f.visit(fmt.Sprintf("%s[%s]", place, at), name, one)
		}
	default:
		for _, key := range f.keys(value) {
			inner := member(value, key)
			// An image volume has its image as image.reference.
			if key == "reference" && slices.Contains(f.fields, name) {
				f.visit(place+"."+key, name, inner)
				continue
			}
			f.visit(place+"."+key, key, inner)
		}
	}
}

// ImageFields are the names of the fields that the overlay of app in env has Kustomize
// take for images beside its own: by its configurations, or by a transformer.
func ImageFields(tree Tree, app, env string) ([]string, error) {
	w := walk{tree: tree, seen: map[string]bool{}}
	if err := w.visit(Folder(app, env)); err != nil {
		return nil, err
	}
	slices.Sort(w.imageFields)
	return slices.Compact(w.imageFields), nil
}

// notes keeps the names of fields that a configuration or a transformer of the
// kustomization takes for images: the last ones of their paths.
func (w *walk) notes(k kustomization) {
	for _, item := range slices.Concat(k.Configurations, k.Transformers) {
		text := []byte(item)
		if !strings.Contains(item, "\n") {
			text = w.tree.Files[path.Join(k.folder, item)]
		}
		type spec struct{ Path string }
		var one struct {
			Images     []spec
			FieldSpecs []spec `yaml:"fieldSpecs"`
		}
		decoder := yaml.NewDecoder(strings.NewReader(string(text)))
		for decoder.Decode(&one) == nil { // what is no YAML, Kustomize refuses
			for _, s := range append(one.Images, one.FieldSpecs...) {
				w.imageFields = append(w.imageFields, strings.TrimSuffix(path.Base(s.Path), "[]"))
			}
			one.Images, one.FieldSpecs = nil, nil
		}
	}
}
