package scan

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"

	"slipway/step"
	"slipway/step/printable"
)

// settleSARIF gives the SARIF 2.1.0 log at path a root that is the same on each
// machine: paths in it are those of the repository, but Trivy has them start at
// the temporary file that it rendered.
func settleSARIF(path string) error {
	refuse := func(err error) error {
		return step.Infrastructure(stage, "trivy convert to sarif", "wrote no SARIF log", "run again").Because(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return refuse(err)
	}
	var log map[string]any
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	if err := decoder.Decode(&log); err != nil {
		return refuse(err)
	}
	runs, _ := log["runs"].([]any)
	if len(runs) == 0 {
		return refuse(errors.New("no runs"))
	}
	for _, run := range runs {
		if run, ok := run.(map[string]any); ok {
			run["originalUriBaseIds"] = map[string]any{"ROOTPATH": map[string]any{"uri": "file:///"}}
		}
	}
	if data, err = json.MarshalIndent(log, "", "  "); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(printable.JSON(string(data))+"\n"), 0o644)
}

// settleTable makes the table at path safe to show: names of packages and files
// stand in it as the image has them.
func settleTable(path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return step.Infrastructure(stage, "trivy convert to table", "wrote no table", "run again").Because(err)
	}
	return os.WriteFile(path, []byte(printable.Whole(string(data))), 0o644)
}
