package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/engine"
)

const fuzzed = "package p\n\nimport \"testing\"\n\n"

func target(name, body string) string {
	return "func " + name + "(f *testing.F) {\n\tf.Add(\"seed\")\n\tf.Fuzz(func(t *testing.T, s string) {" + body + "})\n}\n"
}

func TestFuzzTargetsAreFoundInEveryGoModule(t *testing.T) {
	dir := checkout(t, map[string]string{
		"go.mod":                           "module slipway\n\ngo 1.26\n",
		"a/a_test.go":                      fuzzed + target("FuzzB", "") + target("FuzzA", "") + target("Fuzzy", ""),
		"a/main_test.go":                   "package p\n\nimport (\n\t\"os\"\n\t\"testing\"\n)\n\nfunc TestMain(m *testing.M) {\n\tif _, err := os.Stat(\"main_test.go\"); err != nil {\n\t\tpanic(err)\n\t}\n\tprintln(\"Fuzzing is not FuzzC\")\n\tos.Exit(m.Run())\n}\n",
		"a/testdata/x/x_test.go":           fuzzed + target("FuzzData", ""),
		"a/none_test.go":                   "package p\n",
		"other-words/a_test.go":            fuzzed + target("FuzzA", ""),
		"modules/m/step/go.mod":            "module slipway/m/step\n\ngo 1.26\n",
		"modules/m/step/b/b_test.go":       fuzzed + target("FuzzA", ""),
		"modules/m/step/b/tag_test.go":     "//go:build engine\n\n" + fuzzed + target("FuzzEngine", ""),
		"modules/m/step/b/other_test.go":   "package p\n\ntype t struct{}\n\nfunc (t) FuzzMethod() {}\n",
		"modules/sandbox/node/go.mod":      "module slipway/node\n\ngo 1.26\n",
		"modules/sandbox/node/n_test.go":   fuzzed + target("FuzzNode", ""),
		"modules/sandbox/node/x/x_test.go": fuzzed + target("FuzzNode", ""),
	})
	folders, err := fuzzFolders(t.Context(), dir, regexp.MustCompile(""))
	require.NoError(t, err)
	assert.Equal(t, []string{"a", "modules/m/step/b", "other-words"}, folders)
	folders, err = fuzzFolders(t.Context(), dir, regexp.MustCompile("b:FuzzA$"))
	require.NoError(t, err)
	assert.Equal(t, []string{"modules/m/step/b"}, folders)

	var out bytes.Buffer
	progress := engine.NewProgress(io.Discard)
	require.NoError(t, (&fuzzing{Time: "1x"}).run(t.Context(), dir, progress, &out))
	assert.Equal(t, []string{"a:FuzzA", "a:FuzzB", "modules/m/step/b:FuzzA", "other-words:FuzzA"}, ran(out.String()))
	out.Reset()
	require.NoError(t, (&fuzzing{Time: "1x", Run: "^a:FuzzB$"}).run(t.Context(), dir, progress, &out))
	assert.Equal(t, []string{"a:FuzzB"}, ran(out.String()))
	require.EqualError(t, (&fuzzing{Time: "1x", Run: "FuzzEngine"}).run(t.Context(), dir, progress, &out), "no fuzz target was found")
}

// ran are the targets that passed.
func ran(said string) []string {
	var names []string
	for _, line := range regexp.MustCompile(`(?m)^ok     (.+): \d+ executions`).FindAllStringSubmatch(said, -1) {
		names = append(names, line[1])
	}
	return names
}

func TestFuzzingRunsEachTargetAndKeepsWhatBreaksIt(t *testing.T) {
	dir := checkout(t, map[string]string{
		"go.mod":      "module slipway\n\ngo 1.26\n",
		"a/a_test.go": fuzzed + target("FuzzGood", "") + target("FuzzBad", " if len(s) != 4 { t.Fatal(\"broken\") } "),
	})
	progress := engine.NewProgress(io.Discard)
	var out bytes.Buffer
	err := (&fuzzing{Time: "100x"}).run(t.Context(), dir, progress, &out)
	require.EqualError(t, err, "failed fuzz targets: a:FuzzBad")
	assert.Regexp(t, `(?m)^FAILED a:FuzzBad: \d+ executions, \d+ new inputs$`, out.String())
	assert.Regexp(t, `(?m)^ok     a:FuzzGood: 10\d executions, \d+ new inputs$`, out.String())
	assert.Contains(t, out.String(), "2 fuzz targets, 1 failed\n")
	kept, err := filepath.Glob(filepath.Join(dir, "a", "testdata", "fuzz", "FuzzBad", "*"))
	require.NoError(t, err)
	require.Len(t, kept, 1)
	name := filepath.Base(kept[0])
	assert.Contains(t, out.String(), "  input kept: a/testdata/fuzz/FuzzBad/"+name+"\n")
	assert.Contains(t, out.String(), "  run again:  go -C a test -run '^FuzzBad$/^"+name+"$' .\n")

	out.Reset()
	require.NoError(t, (&fuzzing{Time: "1x", Run: "Good"}).run(t.Context(), dir, progress, &out))
	assert.Contains(t, out.String(), "1 fuzz targets, 0 failed\n")
	require.EqualError(t, (&fuzzing{Time: "1x", Run: "Absent"}).run(t.Context(), dir, progress, &out), "no fuzz target was found")

	require.NoError(t, os.WriteFile(filepath.Join(dir, "a", "a_test.go"), []byte(fuzzed+target("FuzzGood", " undefined() ")), 0o644))
	err = (&fuzzing{Time: "1x"}).run(t.Context(), dir, progress, &out)
	require.ErrorContains(t, err, "compile the tests of a")
	assert.ErrorContains(t, err, "undefined")
}

func TestFuzzingRefusesATimeThatIsNone(t *testing.T) {
	for _, value := range []string{"", "0s", "-1s", "3", "x", "0x", "five minutes"} {
		err := (&fuzzing{Time: value}).run(t.Context(), t.TempDir(), engine.NewProgress(io.Discard), io.Discard)
		assert.ErrorContains(t, err, "is neither a duration", value)
	}
	err := (&fuzzing{Time: "1s", Run: "("}).run(t.Context(), t.TempDir(), engine.NewProgress(io.Discard), io.Discard)
	assert.ErrorContains(t, err, "--run")
}

func TestFuzzCommands(t *testing.T) {
	assert.Equal(t, []string{"test", "-c", "-vet=off", "-o", "/tmp/0.test", "-gcflags=slipway/...=-d=libfuzzer", "."}, compileArgs("amd64", "/tmp/0.test"))
	assert.Equal(t, []string{"test", "-c", "-vet=off", "-o", "/tmp/0.test", "."}, compileArgs("riscv64", "/tmp/0.test"))
	assert.Equal(t, []string{
		"-test.run=^$", "-test.fuzz=^FuzzA$", "-test.fuzztime=5m", "-test.fuzzminimizetime=5s", "-test.fuzzcachedir=/c", "-test.parallel=2", "-test.timeout=0",
	}, fuzzArgs("FuzzA", "5m", "/c"))
}

func TestTheEndOfItsTimeIsNoFailure(t *testing.T) {
	const progress = "fuzz: elapsed: 3s, execs: 120 (40/sec), new interesting: 2 (total: 9)\n"
	ended := errors.New("exit status 1")
	assert.Equal(t, "ok     a:FuzzA: 120 executions, 2 new inputs", readFuzz([]byte(progress+"PASS\n"), nil).line("a:FuzzA"))
	assert.False(t, readFuzz([]byte(progress+"--- FAIL: FuzzA (3.0s)\n    context deadline exceeded\nFAIL\n"), ended).failed)
	assert.True(t, readFuzz([]byte(progress+"--- FAIL: FuzzA (3.0s)\n    context deadline exceeded\n\n    Failing input written to testdata/fuzz/FuzzA/0a\n"), ended).failed)
	assert.True(t, readFuzz([]byte(progress+"panic: context deadline exceeded\n"), ended).failed)
	assert.True(t, readFuzz([]byte(progress), ended).failed)
	assert.True(t, readFuzz([]byte("context deadline exceeded\n"), ended).failed)
}
