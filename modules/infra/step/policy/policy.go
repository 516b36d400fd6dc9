// Package policy decides whether a plan may be applied.
package policy

import (
	"fmt"

	"slipway/step"
)

// Destroys refuses a plan that ends existing objects unless that is allowed.
func Destroys(stage string, destroys []string, allowed bool) error {
	if len(destroys) == 0 || allowed {
		return nil
	}
	return step.Policy(stage, "plan", fmt.Sprintf("destroys, replaces or forgets existing resources: %d", len(destroys)),
		"change the code so that they stay, or allow destroys explicitly (--allow-destroy)", destroys...)
}
