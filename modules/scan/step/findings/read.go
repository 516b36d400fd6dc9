package findings

import (
	"encoding/json"
	"fmt"
	"os"
	"time"

	ftypes "github.com/aquasecurity/trivy/pkg/fanal/types"
	"github.com/aquasecurity/trivy/pkg/types"

	"slipway/step"
)

// schemaVersion is the version of Trivy's JSON report that this package reads.
const schemaVersion = 2

// Read reads Trivy's JSON report at path and removes every line of the scanned
// files from it: Trivy masks the secrets that it found, but what stands beside
// them may be one that it did not.
func Read(path string) (*types.Report, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, step.Infrastructure(stage, "trivy report", "was not written, so there is no verdict",
			"read the scanner's log and run again").Because(err)
	}
	return Parse(data)
}

// Parse is Read of a report's bytes.
func Parse(data []byte) (*types.Report, error) {
	var report types.Report
	if err := json.Unmarshal(data, &report); err != nil {
		return nil, step.Infrastructure(stage, "trivy report", "is not the JSON that Trivy writes, so there is no verdict",
			"use the Trivy that modules/scan/trivy pins").Because(err)
	}
	if report.SchemaVersion != schemaVersion {
		return nil, step.Infrastructure(stage, "trivy report",
			fmt.Sprintf("has schema version %d, not %d, so there is no verdict", report.SchemaVersion, schemaVersion),
			"use the Trivy that modules/scan/trivy pins")
	}
	// Two scans of the same bytes give the same report.
	report.ReportID, report.CreatedAt = "", time.Time{}
	for r := range report.Results {
		result := &report.Results[r]
		for i := range result.Secrets {
			result.Secrets[i].Match = masked
			result.Secrets[i].Code = ftypes.Code{}
		}
		for i := range result.Misconfigurations {
			if quoting[result.Misconfigurations[i].ID] {
				result.Misconfigurations[i].Message = result.Misconfigurations[i].Title
			}
			cause := &result.Misconfigurations[i].CauseMetadata
			cause.Code = ftypes.Code{}
			cause.RenderedCause = ftypes.RenderedCause{}
		}
	}
	return &report, nil
}

// quoting are the checks whose message quotes the content of a ConfigMap.
var quoting = map[string]bool{"KSV-0109": true, "KSV-01010": true}

// masked stands where Trivy shows the line that a secret is on.
const masked = "*****"
