package dockerfile

import (
	"bytes"

	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"

	"slipway/step"
)

// Ignored reads an ignore file: the patterns of what isn't part of the build
// context, as the builder reads them. name is how faults name the file.
//
// Faults: KindInput when a pattern is not one.
func Ignored(name string, content []byte) ([]string, error) {
	patterns, err := ignorefile.ReadAll(bytes.NewReader(content))
	if err == nil {
		_, err = patternmatcher.New(patterns)
	}
	if err != nil {
		return nil, step.Input(Stage, name, "is not an ignore file: "+err.Error(), "mend its patterns").Because(err)
	}
	return append([]string{}, patterns...), nil
}
