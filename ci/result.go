package main

import (
	"context"

	"slipway/ci/internal/dagger"

	"slipway/step"
)

// result reads what a step has returned as text.
func result[T any](text string, err error) (T, error) {
	var value T
	if err == nil {
		err = step.Decode([]byte(text), &value)
	}
	return value, err
}

// resultIn reads what a step has left in its output folder.
func resultIn[T any](ctx context.Context, out *dagger.Directory) (T, error) {
	return result[T](out.File(step.ResultFile).Contents(ctx))
}

// passed is the refusal of a step whose result says nothing more; nil for one that has
// passed.
func passed(text string, err error) error {
	if err != nil {
		return err
	}
	return step.Decode([]byte(text), nil)
}

// passedIn is passed for a step that has left its result in its output folder.
func passedIn(ctx context.Context, out *dagger.Directory) error {
	return passed(out.File(step.ResultFile).Contents(ctx))
}
