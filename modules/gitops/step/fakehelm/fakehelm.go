// Package fakehelm stands in for the helm program in tests, whose compilation
// takes minutes: it reads a chart with Go's own templates, without Helm's
// functions. What the real one makes of the committed chart is the module
// tests' business.
package fakehelm

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"text/template"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/kustomize/kyaml/yaml"
)

// callsFile names the environment variable of the file that each call's
// arguments are added to.
const callsFile = "SLIPWAY_TEST_HELM_CALLS"

// As runs the stand-in and ends the process when the arguments are Helm's. It
// is the first thing that TestMain of a package with charts does.
func As(args []string) {
	if len(args) < 2 || args[1] != "version" && args[1] != "template" && args[1] != "pull" {
		return
	}
	if err := run(args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "Error:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// Program is the path of the stand-in: the test's own program.
func Program(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	return self
}

// Calls starts to note the calls, and returns what reads them: one line each.
func Calls(t *testing.T) func() []string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "calls")
	t.Setenv(callsFile, file)
	return func() []string {
		data, err := os.ReadFile(file)
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		require.NoError(t, err)
		return strings.Split(strings.TrimSpace(string(data)), "\n")
	}
}

func run(args []string) error {
	if file := os.Getenv(callsFile); file != "" {
		calls, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintln(calls, strings.Join(args, " ")); err != nil {
			return err
		}
		if err := calls.Close(); err != nil {
			return err
		}
	}
	switch args[0] {
	case "version":
		fmt.Println("v3.22.0")
		return nil
	case "template":
		return inflate(os.Stdout, args[1:])
	}
	return errors.New("nothing is pulled")
}

// inflate takes the arguments as Kustomize gives them: release, chart,
// --namespace NAME, -f VALUES.
func inflate(out io.Writer, args []string) error {
	release, folder := args[0], args[1]
	var namespace string
	values := map[string]any{}
	files := []string{filepath.Join(folder, "values.yaml")}
	for i := 2; i+1 < len(args); i += 2 {
		switch args[i] {
		case "--namespace":
			namespace = args[i+1]
		case "-f":
			files = append(files, args[i+1])
		default:
			return fmt.Errorf("unknown flag: %s", args[i])
		}
	}
	for _, file := range files {
		var over map[string]any
		if err := readYAML(file, &over); err != nil {
			return err
		}
		lay(values, over)
	}
	var chart struct{ Name string }
	if err := readYAML(filepath.Join(folder, "Chart.yaml"), &chart); err != nil {
		return err
	}
	templates, err := filepath.Glob(filepath.Join(folder, "templates", "*.yaml"))
	if err != nil {
		return err
	}
	for _, file := range templates {
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		read, err := template.New(chart.Name + "/templates/" + filepath.Base(file)).Option("missingkey=error").Funcs(template.FuncMap{
			"fail":   func(text string) (string, error) { return "", errors.New(text) },
			"random": rand.Text,
		}).Parse(string(data))
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "---\n# Source: %s\n", read.Name())
		if err := read.Execute(out, map[string]any{
			"Values": values, "Chart": map[string]any{"Name": chart.Name},
			"Release": map[string]any{"Name": release, "Namespace": namespace},
		}); err != nil {
			return err
		}
	}
	return nil
}

// lay puts values over others, deeply.
func lay(under, over map[string]any) {
	for key, value := range over {
		inner, ok := value.(map[string]any)
		below, both := under[key].(map[string]any)
		if ok && both {
			lay(below, inner)
			continue
		}
		under[key] = value
	}
}

func readYAML(file string, into any) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	return yaml.Unmarshal(data, into)
}
