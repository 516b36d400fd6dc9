package main

import (
	"context"

	"slipway/ci/internal/dagger"

	"slipway/step"
)

// decode reads a step's result out of its output folder.
func decode(ctx context.Context, out *dagger.Directory, value any) error {
	text, err := out.File(step.ResultFile).Contents(ctx)
	if err != nil {
		return err
	}
	return step.Decode([]byte(text), value)
}

// decodeText reads a step's result that was returned as text.
func decodeText(text string, err error, value any) error {
	if err != nil {
		return err
	}
	return step.Decode([]byte(text), value)
}
