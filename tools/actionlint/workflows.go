// Package actionlint runs actionlint over the workflows below wrappers/github.
package actionlint

import (
	"fmt"
	"io"

	"github.com/rhysd/actionlint"
)

// Lint returns what actionlint finds in one workflow. The file's name tells it apart
// in the findings, and nothing is read from there.
func Lint(file string, data []byte) ([]string, error) {
	linter, err := actionlint.NewLinter(io.Discard, &actionlint.LinterOptions{})
	if err != nil {
		return nil, err
	}
	found, err := linter.Lint(file, data, nil)
	if err != nil {
		return nil, err
	}
	list := make([]string, 0, len(found))
	for _, e := range found {
		list = append(list, fmt.Sprintf("%s:%d:%d: %s [%s]", e.Filepath, e.Line, e.Column, e.Message, e.Kind))
	}
	return list, nil
}
