package policy_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"slipway/ci/policy"
	"slipway/step/steptest"
)

// TestDeltaTextIsSafeToShow: packages and files are named by whoever made the image.
func TestDeltaTextIsSafeToShow(t *testing.T) {
	for _, text := range steptest.Hostile() {
		after := policy.Findings{
			Packages:          []policy.Package{{Class: text, Type: text, Name: text, Version: text}},
			Vulnerabilities:   []policy.Vulnerability{{ID: text, Package: text, Installed: text, Fixed: text, Target: text, Severity: policy.High}},
			Misconfigurations: []policy.Misconfiguration{{ID: text, File: text, Title: text, Resource: text, Severity: policy.High}},
		}
		shown := policy.Compare(policy.Findings{}, after).Text() + policy.Compare(after, policy.Findings{}).Text()
		steptest.Printable(t, shown)
		assert.Equal(t, 14, strings.Count(shown, "\n"), "%.100q", text)
	}
}
