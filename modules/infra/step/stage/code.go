package stage

import (
	"os"
	"path/filepath"
)

// CodeFolder is the folder of Code's output that holds the files.
const CodeFolder = "code"

// CodeOptions are the code stage's inputs: of Common, Code, Root and Out.
type CodeOptions struct{ Common }

// CodeResult is the code stage's value.
type CodeResult struct {
	// Digest is of the files, as a plan is bound to it.
	Digest string `json:"digest"`
}

// Code writes what a plan of the root is made of, and bound to, into CodeFolder of
// the output folder: the root and the modules that it reaches, and nothing else.
// The check scans it.
func Code(o CodeOptions) (*CodeResult, error) {
	if err := os.MkdirAll(o.Out, 0o755); err != nil {
		return nil, err
	}
	_, digest, err := o.copy(StageCheck, filepath.Join(o.Out, CodeFolder))
	return &CodeResult{Digest: digest}, err
}
