package scan

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/step/steptest"
)

// TestReportsAreSafeToShow: packages and files are named by whoever made the image.
func TestReportsAreSafeToShow(t *testing.T) {
	for _, text := range steptest.Hostile() {
		s := &scanner{out: t.TempDir()}
		file := func(name string) string { return filepath.Join(s.out, name) }
		read := func(name string) []byte {
			data, err := os.ReadFile(file(name))
			require.NoError(t, err)
			steptest.Printable(t, string(data))
			return data
		}
		require.NoError(t, os.WriteFile(file(TableFile), []byte("┌─┐\n│ "+text+" │ HIGH │\n"+text+"\n"), 0o644))
		require.NoError(t, settleTable(file(TableFile)))
		read(TableFile)

		log, err := json.Marshal(map[string]any{"runs": []any{map[string]any{"results": []any{text}}}})
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(file(SARIFFile), log, 0o644))
		require.NoError(t, settleSARIF(file(SARIFFile)))
		var before, after struct{ Runs []struct{ Results []string } }
		require.NoError(t, json.Unmarshal(log, &before))
		require.NoError(t, json.Unmarshal(read(SARIFFile), &after))
		assert.Equal(t, before, after)

		require.NoError(t, s.write("findings.json", []string{text}))
		read("findings.json")
	}
	refused := steptest.Refused(t, settleTable(filepath.Join(t.TempDir(), TableFile)))
	assert.Equal(t, "wrote no table", refused.Reason)
}

func TestALogThatIsNoneIsRefused(t *testing.T) {
	refused := steptest.Refused(t, settleSARIF(filepath.Join(t.TempDir(), SARIFFile)))
	assert.Equal(t, "wrote no SARIF log", refused.Reason)
	for _, text := range []string{"", "{", "[]", "{}", `{"runs": {}}`, `{"runs": []}`} {
		file := filepath.Join(t.TempDir(), SARIFFile)
		require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
		refused := steptest.Refused(t, settleSARIF(file))
		assert.Equal(t, "wrote no SARIF log", refused.Reason, text)
		left, err := os.ReadFile(file)
		require.NoError(t, err)
		assert.Equal(t, text, string(left))
	}
	file := filepath.Join(t.TempDir(), SARIFFile)
	require.NoError(t, os.WriteFile(file, []byte(`{"runs": [{"n": 12345678901234567890}, {}]}`), 0o644))
	require.NoError(t, settleSARIF(file))
	made, err := os.ReadFile(file)
	require.NoError(t, err)
	const root = `"originalUriBaseIds": {"ROOTPATH": {"uri": "file:///"}}`
	assert.JSONEq(t, `{"runs": [{"n": 12345678901234567890, `+root+`}, {`+root+`}]}`, string(made))
	assert.Contains(t, string(made), "12345678901234567890")
}
