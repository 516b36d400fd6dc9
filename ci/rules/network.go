package rules

import (
	"fmt"
	"slices"

	"slipway/step"
)

// Permit refuses hosts that the platform does not let apps reach. Asked are those of an
// app.yaml, at the key that where names.
func Permit(stage, where string, permitted, asked []string) error {
	for _, host := range asked {
		if !slices.Contains(permitted, host) {
			return step.Policy(stage, fmt.Sprintf("%s: %s", where, host), "is not a host that the platform lets apps reach",
				"have it added to build.network of slipway.yaml, or take it out of app.yaml")
		}
	}
	return nil
}
