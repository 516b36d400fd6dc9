package image

import (
	"fmt"
	"maps"
	"regexp"
	"strings"

	"slipway/step"
	"slipway/step/printable"
)

const (
	annotationPrefix = "org.opencontainers.image."
	// RevisionKey is the annotation that names the source: here always the
	// Git tree id of the app's folder, never given.
	RevisionKey = annotationPrefix + "revision"
	createdKey  = annotationPrefix + "created"
	maxLabel    = 4096
)

// known are the OCI specification's annotation keys that a caller may set
// (annotations.md, "Pre-Defined Annotation Keys").
var known = map[string]bool{
	"title": true, "description": true, "source": true, "licenses": true, "vendor": true, "version": true,
	"url": true, "documentation": true, "authors": true, "base.name": true, "base.digest": true,
}

var keyPattern = regexp.MustCompile(`\A[a-z0-9]+([.-][a-z0-9]+)*\z`)

// Labels are an image's labels and its index's annotations.
type Labels map[string]string

// ParseLabels reads flags of the form "KEY=VALUE". A key is one that the OCI
// specification defines, other than created (an image here has no time) and
// revision, or a name in another reverse domain; a value is one line of at
// most 4096 bytes.
func ParseLabels(values []string) (Labels, error) {
	labels := Labels{}
	for _, v := range values {
		key, value, ok := strings.Cut(v, "=")
		input := fmt.Sprintf("--label %.80q", v)
		name, oci := strings.CutPrefix(key, annotationPrefix)
		switch {
		case !ok || !keyPattern.MatchString(key):
			return nil, step.Input(Stage, input, "is not KEY=VALUE", "use a key of lower-case letters, digits, dots and dashes")
		case key == RevisionKey:
			return nil, step.Input(Stage, input, "is computed from the source", "leave it out")
		case key == createdKey:
			return nil, step.Input(Stage, input, "would make each build another image", "leave it out")
		case oci && !known[name]:
			return nil, step.Input(Stage, input, "is not a key that the OCI specification defines", "see its page on annotations, or use a domain of yours")
		case len(value) > maxLabel || !printable.IsLine(value) || strings.ContainsRune(value, '\uFFFD'):
			return nil, step.Input(Stage, input, "has a value that is not one line of text", fmt.Sprintf("use at most %d bytes, no control characters and no commands of a CI system", maxLabel))
		}
		if _, twice := labels[key]; twice {
			return nil, step.Input(Stage, input, "is given twice", "give each label once")
		}
		labels[key] = value
	}
	return labels, nil
}

// with returns labels and more in one map; labels win.
func (l Labels) with(more map[string]string) map[string]string {
	out := map[string]string{}
	maps.Copy(out, more)
	maps.Copy(out, l)
	return out
}
