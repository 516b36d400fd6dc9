package main

import (
	"context"
	"slices"
	"sync"
	"time"

	"slipway/ci/internal/dagger"

	"slipway/ci/receipt"
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

// after is a stage that ends now, behind those that have run before it.
func after(before []Stage, name string, began time.Time) []Stage {
	return append(slices.Clip(before), receipt.Took(name, began, time.Now()))
}

// sideBySide does all works at once and returns the first error in their order:
// what is refused must not depend on which answer comes first.
func sideBySide(works ...func() error) error {
	refusals := make([]error, len(works))
	var done sync.WaitGroup
	for n, work := range works {
		done.Go(func() { refusals[n] = work() })
	}
	done.Wait()
	for _, err := range refusals {
		if err != nil {
			return err
		}
	}
	return nil
}
