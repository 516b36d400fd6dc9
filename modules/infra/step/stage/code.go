package stage

import (
	"os"
	"path/filepath"

	"slipway/step/result/infra"
)

// CodeFolder is the folder of Code's output that holds the files.
const CodeFolder = "code"

// CodeOptions are the code stage's inputs: of Common, Code, Root and Out.
type CodeOptions struct{ Common }

// Code writes what a plan of the root is made of, and bound to, into CodeFolder of
// the output folder: the root and the modules that it reaches, and nothing else.
// The check scans it.
func Code(o CodeOptions) (*infra.Code, error) {
	if err := os.MkdirAll(o.Out, 0o755); err != nil {
		return nil, err
	}
	_, digest, err := o.copy(StageCheck, filepath.Join(o.Out, CodeFolder))
	return &infra.Code{Digest: digest}, err
}
