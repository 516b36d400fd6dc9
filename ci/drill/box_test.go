package drill

import (
	"go/parser"
	"go/token"
	"path"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestBoxAttacksAreWhatTheySay(t *testing.T) {
	names := map[string]bool{}
	for _, a := range BoxAttacks() {
		assert.False(t, names[a.Name], a.Name)
		names[a.Name] = true
		assert.Equal(t, map[bool]string{true: "test", false: "build"}[a.Test], a.Expected.Stage, a.Name)
		assert.NotEmpty(t, a.Expected.Says, a.Name)
		for name, text := range a.Files {
			assert.NotContains(t, text, "NOWAYOUT", name)
			if path.Ext(name) == ".go" {
				_, err := parser.ParseFile(token.NewFileSet(), name, text, parser.AllErrors)
				require.NoError(t, err, "%s: %s", a.Name, name)
			}
		}
		_, isDockerfile := a.Files["Dockerfile"]
		assert.Equal(t, !a.Test, isDockerfile, a.Name)
		assert.Equal(t, isDockerfile, strings.Contains(a.Files["app.yaml"], "kind: dockerfile"), a.Name)
	}
}
