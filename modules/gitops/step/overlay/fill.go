package overlay

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"slipway/step"
)

// placeholder stands where somebody has to put a value of their own. It is at home
// in host names, paths, URLs and PEM alike.
var placeholder = regexp.MustCompile(`\bfill-in(?:-[a-z0-9]+)+`)

// Filled refuses rendered manifests, which what names, that still have
// placeholders: fill-in- and the name of what belongs there. The input Fault says
// each, and the objects and fields that it is in; never the rest of a value.
func Filled(what string, rendered []byte) error {
	all, err := manifests(what, rendered)
	if err != nil {
		return err
	}
	found := map[string]bool{}
	var places []string
	for _, object := range all {
		at := title(object)
		visit(nil, object, func(path []string, text string) {
			for _, name := range placeholder.FindAllString(text, -1) {
				found[name] = true
				places = append(places, fmt.Sprintf("%s %s: %s", at, strings.Join(path, "."), name))
			}
		})
	}
	if len(found) == 0 {
		return nil
	}
	slices.Sort(places)
	return step.Input(Stage, what, "is not filled in: "+strings.Join(slices.Sorted(maps.Keys(found)), ", "),
		"put your own value in the place of each: search the GitOps folder for it", slices.Compact(places)...)
}

// title is an object's kind and name.
func title(object any) string {
	return fmt.Sprintf("%v %v", member(object, "kind"), member(member(object, "metadata"), "name"))
}

// visit calls do for every key and every string of a value.
func visit(path []string, value any, do func(path []string, text string)) {
	switch value := value.(type) {
	case string:
		do(path, value)
	case []any:
		for i, item := range value {
			visit(append(slices.Clone(path), fmt.Sprint(i)), item, do)
		}
	case map[string]any:
		for key, item := range value {
			do(path, key)
			visit(append(slices.Clone(path), key), item, do)
		}
	case map[any]any: // with a key that is no string
		for key, item := range value {
			visit(path, key, do)
			visit(append(slices.Clone(path), fmt.Sprint(key)), item, do)
		}
	}
}
