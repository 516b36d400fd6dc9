package scan

import (
	"os"
	"path/filepath"
	"testing"

	ftypes "github.com/aquasecurity/trivy/pkg/fanal/types"
	"github.com/aquasecurity/trivy/pkg/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/step"
)

func TestModulesReplacedByAFolderAreListed(t *testing.T) {
	folder := t.TempDir()
	write := func(text string) *types.Report {
		require.NoError(t, os.MkdirAll(filepath.Join(folder, "tools"), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(folder, "tools", "go.mod"), []byte(text), 0o644))
		return &types.Report{Results: types.Results{
			{Target: "package-lock.json", Class: types.ClassLangPkg, Type: ftypes.Npm},
			{Target: "tools/go.mod", Class: types.ClassLangPkg, Type: ftypes.GoModule, Packages: ftypes.Packages{{Name: "example.com/app"}}},
		}}
	}
	report := write("module example.com/app\n\ngo 1.24\n\nrequire (\n\tgolang.org/x/text v0.3.7\n\texample.com/one v1.0.0\n\texample.com/other v1.0.0\n\texample.com/fork v1.0.0\n)\n\n" +
		"replace (\n\tgolang.org/x/text => ./text\n\texample.com/one v1.0.0 => ../one\n\texample.com/other v1.1.0 => ../other\n\texample.com/fork => example.com/us v1.0.1\n\texample.com/unused => ./unused\n)\n")
	require.NoError(t, withCopies(report, folder))
	var got []string
	for _, p := range report.Results[1].Packages[1:] {
		got = append(got, p.Identifier.PURL.String(), p.Name+" "+p.Version)
	}
	assert.Equal(t, []string{"pkg:golang/golang.org/x/text@v0.3.7", "golang.org/x/text v0.3.7", "pkg:golang/example.com/one@v1.0.0", "example.com/one v1.0.0"}, got)
	assert.Empty(t, report.Results[0].Packages)

	for name, spoil := range map[string]func(*types.Report){
		"a file that is gone":   func(r *types.Report) { r.Results[1].Target = "go.mod" },
		"a path that leads out": func(r *types.Report) { r.Results[1].Target = "../go.mod" },
		"a damaged file": func(*types.Report) {
			require.NoError(t, os.WriteFile(filepath.Join(folder, "tools", "go.mod"), []byte("replace"), 0o644))
		},
	} {
		t.Run(name, func(t *testing.T) {
			report := write("module example.com/app\n")
			spoil(report)
			fault, ok := step.AsFault(withCopies(report, folder))
			require.True(t, ok)
			assert.Equal(t, step.KindInput, fault.Kind)
			assert.Contains(t, fault.Reason, "nobody knows what it replaces")
		})
	}
}
