package evidence

import (
	"strings"

	"slipway/step/result/scan"
)

// Bills are the bills of materials of an image for these platforms and of its source, as
// files to attest.
func Bills(platforms []string) map[string]File {
	files := map[string]File{}
	for _, platform := range append([]string{""}, platforms...) {
		name := "sbom-source"
		if platform != "" {
			name = "sbom-image-" + strings.ReplaceAll(platform, "/", "-")
		}
		files[name+"-cyclonedx"] = File{PredicateType: CycloneDXType, PredicateFile: scan.SBOM(platform, scan.CycloneDX)}
		files[name+"-spdx"] = File{PredicateType: SPDXType, PredicateFile: scan.SBOM(platform, scan.SPDX)}
	}
	return files
}
