package render_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"slipway/ci/render"
	"slipway/step/result/scan"
	"slipway/step/steptest"
)

// TestDeltaTextIsSafeToShow: packages and files are named by whoever made the image.
func TestDeltaTextIsSafeToShow(t *testing.T) {
	for _, text := range steptest.Hostile() {
		after := scan.Findings{
			Packages:          []scan.Package{{Class: text, Type: text, Name: text, Version: text}},
			Vulnerabilities:   []scan.Vulnerability{{ID: text, Package: text, Installed: text, Fixed: text, Target: text, Severity: scan.High}},
			Misconfigurations: []scan.Misconfiguration{{ID: text, File: text, Title: text, Resource: text, Severity: scan.High}},
		}
		shown := render.Compare(scan.Findings{}, after).Text() + render.Compare(after, scan.Findings{}).Text()
		steptest.Printable(t, shown)
		assert.Equal(t, 14, strings.Count(shown, "\n"), "%.100q", text)
	}
}
