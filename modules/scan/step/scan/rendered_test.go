package scan

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/step"
)

// objects are the files that manifests are split into.
func objects(t *testing.T, manifests string) (map[string]string, error) {
	t.Helper()
	file, folder := filepath.Join(t.TempDir(), "manifests.yaml"), t.TempDir()
	require.NoError(t, os.WriteFile(file, []byte(manifests), 0o644))
	err := Objects(file, folder)
	found := map[string]string{}
	entries, _ := os.ReadDir(folder)
	for _, e := range entries {
		data, readErr := os.ReadFile(filepath.Join(folder, e.Name()))
		require.NoError(t, readErr)
		found[e.Name()] = string(data)
	}
	return found, err
}

func TestEachObjectIsAFile(t *testing.T) {
	const (
		pod      = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: a # trivy:ignore:KSV-0017\n"
		other    = "apiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: other}\n"
		third    = "apiVersion: v1\nkind: Pod\nmetadata: {name: a-2}\n"
		role     = "apiVersion: v1\nkind: ClusterRole\nmetadata: {name: 'system:x/../y'}\n"
		text     = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata:\n  a: |\n    x\n    ---\n    kind: Pod\n  b: \"x\n   --- y\"\n"
		nameless = "apiVersion: v1\nkind: X\nmetadata: {generateName: x}\n"
	)
	found, err := objects(t, strings.Join([]string{pod, other, third, role, text, nameless}, "---\n"))
	require.NoError(t, err)
	assert.Equal(t, map[string]string{
		"Pod-a.yaml": pod, "Pod-a-2.yaml": other, "Pod-a-2-2.yaml": third, "ClusterRole-system_x_.._y.yaml": role, "ConfigMap-c.yaml": text, "X-.yaml": nameless,
	}, found)

	found, err = objects(t, "--- # first\r\n"+pod+"--- \n\n---")
	require.NoError(t, err)
	assert.Equal(t, map[string]string{"Pod-a.yaml": pod}, found)

	for name, manifests := range map[string]string{
		"no YAML": "a: [\n", "a key twice": pod + "kind: Service\n", "a list": "- a\n", "the second one": pod + "---\nkind: {}\n",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := objects(t, manifests)
			fault, ok := step.AsFault(err)
			require.True(t, ok, "%v", err)
			assert.Equal(t, step.KindPolicy, fault.Kind)
			assert.Contains(t, fault.Reason, "can't be parsed, so it can't be checked")
		})
	}
	assert.Equal(t, step.KindInput, func() step.Kind { f, _ := step.AsFault(Objects("missing", t.TempDir())); return f.Kind }())
}
