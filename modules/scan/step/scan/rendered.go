package scan

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"

	"go.yaml.in/yaml/v3"

	"slipway/step"
)

var (
	// boundary is a line that ends a YAML document: nothing inside of one can begin so.
	boundary = regexp.MustCompile(`(?m)^---(?:[ \t].*)?\r?\n?`)
	// unnamed is what has no place in the names of Objects.
	unnamed = regexp.MustCompile(`[^A-Za-z0-9._-]+`)
)

// Objects writes each object of rendered manifests to a file of its own below folder,
// KIND-NAME.yaml, so that what is found in it is named after it. The bytes of an object
// stay as they are.
func Objects(file, folder string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return step.Input(stage, "rendered manifests", "can't be read", "give the file that the overlay was rendered to").Because(err)
	}
	taken := map[string]bool{}
	for n, text := range boundary.Split(string(data), -1) {
		if len(bytes.TrimSpace([]byte(text))) == 0 {
			continue
		}
		var object struct {
			Kind     string
			Metadata struct{ Name string }
		}
		if err := yaml.Unmarshal([]byte(text), &object); err != nil {
			return step.Policy(stage, fmt.Sprintf("rendered manifests, document %d", n+1), "can't be parsed, so it can't be checked: "+err.Error(), "mend the YAML").Because(err)
		}
		base := unnamed.ReplaceAllString(object.Kind, "_") + "-" + unnamed.ReplaceAllString(object.Metadata.Name, "_")
		base = base[:min(len(base), 200)]
		name := base
		for again := 2; taken[name]; again++ {
			name = fmt.Sprintf("%s-%d", base, again)
		}
		taken[name] = true
		if err := os.WriteFile(filepath.Join(folder, name+".yaml"), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}
