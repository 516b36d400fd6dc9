package overlay

import (
	"testing"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/kustomize/kyaml/yaml"

	"slipway/step/steptest"
)

// TestDiffIsSafeToShow: names and values of manifests are an app's to choose.
func TestDiffIsSafeToShow(t *testing.T) {
	for _, text := range steptest.Hostile() {
		if len(text) > 1000 {
			continue
		}
		manifest, err := yaml.Marshal(map[string]any{
			"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": text, "annotations": map[string]any{"a": text}},
			"data": map[string]any{"a": text, "b": "x\n::error::" + text, "k" + text: "v"},
		})
		require.NoError(t, err)
		for _, sides := range [][2]string{{"", string(manifest)}, {string(manifest), ""}, {string(manifest), string(manifest) + "more: 1\n"}} {
			diff, err := Diff("apps/hello", []byte(sides[0]), []byte(sides[1]))
			if err != nil {
				continue // text that is no YAML is refused before
			}
			require.NotEmpty(t, diff)
			steptest.Printable(t, string(diff))
		}
	}
}
