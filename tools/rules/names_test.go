package rules

import (
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// origins are the programs that export the metrics, as they are pinned, and the
// folders in which they say how these are called.
var origins = map[string][]string{
	"argocd github.com/argoproj/argo-cd/v2": {"controller/metrics", "reposerver/metrics"},
	"kyverno github.com/kyverno/kyverno":    {"pkg/metrics"},
}

// sources are the Go files of these folders.
func sources(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	for pin, folders := range origins {
		folder, module, _ := strings.Cut(pin, " ")
		cmd := exec.Command("go", "mod", "download", "-json", module)
		cmd.Dir = filepath.Join("..", "..", "modules", "sandbox", "pins", folder)
		out, err := cmd.Output()
		require.NoError(t, err, string(out))
		var found struct{ Dir string }
		require.NoError(t, json.Unmarshal(out, &found))
		for _, folder := range folders {
			require.NoError(t, filepath.WalkDir(filepath.Join(found.Dir, folder), func(file string, d fs.DirEntry, err error) error {
				if err != nil || d.IsDir() || strings.HasSuffix(file, "_test.go") {
					return err
				}
				text, err := os.ReadFile(file)
				all.Write(text)
				return err
			}))
		}
	}
	return all.String()
}

// The cases above make up their series. Here is what real ones are called: a rule
// about a metric or a label that nobody exports would never fire.
func TestMetricsAreThoseThatTheProgramsExport(t *testing.T) {
	exported := sources(t)
	syntax := parser.NewParser(parser.Options{})
	// Prometheus' own.
	own := map[string]bool{"__name__": true, "job": true, "pod": true, "le": true}
	seen := 0
	for _, group := range run(t, load(nil), 0) {
		for _, rule := range group.Rules() {
			expr, err := syntax.ParseExpr(rule.Query().String())
			require.NoError(t, err)
			parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
				var names []string
				switch node := node.(type) {
				case *parser.VectorSelector:
					if node.Name != "up" {
						// What is appended to the name of a counter or a histogram may not be in it.
						names = append(names, strings.TrimSuffix(strings.TrimSuffix(node.Name, "_bucket"), "_total"))
					}
					for _, matcher := range node.LabelMatchers {
						names = append(names, matcher.Name)
					}
				case *parser.AggregateExpr:
					names = node.Grouping
				}
				for _, name := range names {
					if own[name] {
						continue
					}
					seen++
					assert.True(t, strings.Contains(exported, `"`+name+`"`) || strings.Contains(exported, `"`+name+`_total"`), "%s of %s is exported by nobody", name, rule.Name())
				}
				return nil
			})
		}
	}
	assert.Greater(t, seen, 10)
}
