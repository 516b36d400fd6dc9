package scan

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"slipway/step/result/scan"
)

func TestThePlatformThatIsMeant(t *testing.T) {
	s := scan.Summary{Platforms: []string{"linux/amd64", "linux/arm/v6", "linux/arm/v7", "linux/arm64/v8"}}
	for meant, want := range map[string]string{
		"": "linux/amd64", "linux/amd64": "linux/amd64", "linux/arm64": "linux/arm64/v8", "linux/arm64/v8": "linux/arm64/v8", "linux/arm/v7": "linux/arm/v7",
	} {
		found, ok := s.On(meant)
		assert.True(t, ok, meant)
		assert.Equal(t, want, found, meant)
	}
	for _, meant := range []string{"linux/arm6", "linux/amd64/", "linux/amd64/v3", "amd64", "windows/amd64", "linux/arm64/v9"} {
		_, ok := s.On(meant)
		assert.False(t, ok, meant)
	}
	_, ok := scan.Summary{}.On("")
	assert.False(t, ok)
}

func TestSBOM(t *testing.T) {
	assert.Equal(t, "sbom/image-linux-arm64-v8.cdx.json", scan.SBOM("linux/arm64/v8", scan.CycloneDX))
	assert.Equal(t, "sbom/source.spdx.json", scan.SBOM("", scan.SPDX))
}
