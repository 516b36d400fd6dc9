package main

import (
	"context"

	"slipway/ci/internal/dagger"

	"slipway/ci/receipt"
	"slipway/step"
)

// Parity says in one line that two receipts record the same delivery: the same image,
// scan, decision and plan, in the same place. That has to hold when a laptop and a CI
// system deliver the same commit. Otherwise it refuses, and names the first difference.
// It leaves out only what two deliveries can't have in common: who ran them, when, and
// what the second one found done already.
//
// Example: dagger call parity --first laptop.json --second pipeline.json
//
// +cache="168h"
func (s *Slipway) Parity(
	ctx context.Context,
	// One receipt, as document and receipt json print it. Example: ./laptop.json
	first *dagger.File,
	// Another one. Of two about one environment, the later.
	second *dagger.File,
) (string, error) {
	var both [2][]byte
	for n, file := range []*dagger.File{first, second} {
		text, err := file.Contents(ctx)
		if err != nil {
			return "", step.Input("parity", [...]string{"--first", "--second"}[n], "can't be read: "+err.Error(), "give the file of a receipt, as document prints it")
		}
		both[n] = []byte(text)
	}
	said, err := receipt.Compare(both[0], both[1])
	return said + "\n", err
}
