package main

import (
	"debug/buildinfo"
	"debug/elf"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/step"
	"slipway/step/result/build"
)

// app makes a container with a Go app in it.
func app(t *testing.T, files map[string]string) *container {
	t.Helper()
	c := newContainer(t)
	require.NoError(t, os.MkdirAll(sharedCache, 0o755))
	c.binds = []string{goroot, sharedCache}
	require.NoError(t, os.MkdirAll(filepath.Join(c.root, "etc"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(c.root, "etc", "passwd"), []byte("root:x:0:0::/:\napp:x:65532:65532::/home/app:\n"), 0o644))
	for name, content := range files {
		file := filepath.Join(c.root, "src", name)
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, []byte(content), 0o644))
	}
	return c
}

// work runs go-build or go-test, and returns its value or fault.
func (c *container) work(t *testing.T, value any, args ...string) error {
	t.Helper()
	args = append([]string{boxProgram, args[0], "--app", "hello", "--out", "/out", "--goroot", goroot, "--cache", sharedCache}, args[1:]...)
	stdout, stderr, code := c.run(t, args...)
	require.Contains(t, []int{0, exitRefused}, code, stderr)
	data, err := os.ReadFile(filepath.Join(c.root, "out", step.ResultFile))
	require.NoError(t, err)
	if code == exitRefused {
		require.Equal(t, string(data), stdout)
	}
	err = step.Decode(data, value)
	assert.Equal(t, code == exitRefused, err != nil)
	return err
}

func refused(t *testing.T, err error, kind step.Kind, reason, mend string, details ...string) {
	t.Helper()
	fault, ok := step.AsFault(err)
	require.True(t, ok, "%v", err)
	assert.Equal(t, kind, fault.Kind)
	assert.Contains(t, fault.Reason, reason)
	assert.Contains(t, fault.Mend, mend)
	for _, detail := range details {
		assert.Contains(t, strings.Join(fault.Details, "\n"), detail)
	}
}

const (
	goMod  = "module example.org/hello\n\ngo 1.26\n"
	goMain = "package main\n\nvar version string\n\nfunc main() { println(version) }\n"
)

func TestBuild(t *testing.T) {
	for name, tc := range map[string]struct {
		files map[string]string
		args  []string
		names []string
	}{
		"a main package at the root": {
			map[string]string{"go.mod": goMod, "main.go": goMain}, []string{"--package", "."}, []string{"hello"},
		},
		"several programs": {
			map[string]string{"go.mod": goMod, "cmd/server/main.go": goMain, "cmd/worker/main.go": goMain},
			[]string{"--package", "./cmd/server", "--package", "./cmd/worker/"}, []string{"hello", "worker"},
		},
		"a workspace": {
			map[string]string{
				"go.work": "go 1.26\n\nuse ./a\n\nuse ./b\n", "a/go.mod": "module example.org/a\n\ngo 1.26\n", "b/go.mod": "module example.org/b\n\ngo 1.26\n",
				"a/main.go": "package main\n\nimport \"example.org/b\"\n\nvar version string\n\nfunc main() { println(b.Name, version) }\n", "b/b.go": "package b\n\nconst Name = \"b\"\n",
			},
			[]string{"--package", "./a"}, []string{"hello"},
		},
		"vendored": {
			map[string]string{
				"go.mod":             goMod + "\nrequire example.org/v v1.0.0\n",
				"main.go":            "package main\n\nimport \"example.org/v\"\n\nvar version string\n\nfunc main() { println(v.Name, version) }\n",
				"vendor/modules.txt": "# example.org/v v1.0.0\n## explicit; go 1.26\nexample.org/v\n", "vendor/example.org/v/v.go": "package v\n\nconst Name = \"v\"\n",
			},
			[]string{"--package", "."}, []string{"hello"},
		},
		"with embedded files": {
			map[string]string{"go.mod": goMod, "page.txt": "a page", "main.go": "package main\n\nimport _ \"embed\"\n\n//go:embed page.txt\nvar page string\n\nvar version string\n\nfunc main() { println(page, version) }\n"},
			[]string{"--package", "."}, []string{"hello"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := app(t, tc.files)
			var got build.Binaries
			require.NoError(t, c.work(t, &got, append([]string{"go-build", "--arch", "amd64", "--arch", "arm64", "--define", "main.version=0123abcd"}, tc.args...)...))
			assert.Equal(t, tc.names, got.Names)
			for arch, machine := range map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64} {
				for _, name := range tc.names {
					file := filepath.Join(c.root, "out", arch, name)
					info, err := os.Stat(file)
					require.NoError(t, err)
					assert.Equal(t, os.FileMode(0o755), info.Mode())
					assert.Zero(t, owner(info))
					program, err := elf.Open(file)
					require.NoError(t, err)
					assert.Equal(t, machine, program.Machine)
					content, err := os.ReadFile(file)
					require.NoError(t, err)
					assert.Contains(t, string(content), "0123abcd")
					built, err := buildinfo.ReadFile(file)
					require.NoError(t, err)
					assert.Equal(t, "go1.26.8", built.GoVersion)
				}
			}
		})
	}
}

func TestBuildRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		files        map[string]string
		pkg          []string
		reason, mend string
		detail       string
	}{
		"what does not compile": {
			map[string]string{"go.mod": goMod, "main.go": "package main\n\nfunc main() { undefined() }\n"}, []string{"."},
			"does not compile for linux/amd64", "go build .", "./main.go:3:15: undefined: undefined",
		},
		"cgo": {
			map[string]string{"go.mod": goMod, "main.go": goMain, "c.go": "package main\n\nimport \"C\"\n"}, []string{"."},
			"needs cgo", "build the app by a Dockerfile", "example.org/hello: c.go",
		},
		"cgo with a stand-in that fails in production": {
			map[string]string{
				"go.mod": goMod, "main.go": "package main\n\nimport \"example.org/hello/db\"\n\nfunc main() { db.Open() }\n",
				"db/c.go": "package db\n\nimport \"C\"\n\nfunc Open() {}\n", "db/none.go": "//go:build !cgo\n\npackage db\n\nfunc Open() { panic(\"no cgo\") }\n",
			}, []string{"."}, "needs cgo", "build the app by a Dockerfile", "example.org/hello/db: c.go",
		},
		"a package that is no program": {
			map[string]string{"go.mod": goMod, "lib/lib.go": "package lib\n"}, []string{"./lib"}, "is package lib, not a program", "name a main package", "",
		},
		"a folder that is not there": {
			map[string]string{"go.mod": goMod, "main.go": goMain}, []string{"./cmd/hello"}, "can't be loaded", "go build ./...", "cmd/hello",
		},
		"a module that go.sum lacks": {
			map[string]string{"go.mod": goMod + "\nrequire example.org/x v1.0.0\n", "main.go": "package main\n\nimport _ \"example.org/x\"\n\nfunc main() {}\n"}, []string{"."},
			"lacks lines of go.sum", "go mod tidy", "example.org/x",
		},
		"a module that go.mod lacks": {
			map[string]string{"go.mod": goMod, "main.go": "package main\n\nimport _ \"example.org/x\"\n\nfunc main() {}\n"}, []string{"."},
			"imports a package of a module that go.mod doesn't name", "go mod tidy", "example.org/x",
		},
		"a newer toolchain": {
			map[string]string{"go.mod": "module example.org/hello\n\ngo 1.99\n", "main.go": goMain}, []string{"."}, "wants a newer Go toolchain", "lower the go line", "1.99",
		},
		"no module": {map[string]string{"main.go": goMain}, []string{"./cmd/x"}, "is no Go module", "commit a go.mod", ""},
		"two programs of a name": {
			map[string]string{"go.mod": goMod, "a/main.go": goMain, "b/hello/main.go": goMain}, []string{"./a", "./b/hello"}, "two packages whose programs are both called hello", "another folder name", "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			args := []string{"go-build", "--arch", "amd64"}
			for _, p := range tc.pkg {
				args = append(args, "--package", p)
			}
			refused(t, app(t, tc.files).work(t, nil, args...), step.KindInput, tc.reason, tc.mend, tc.detail)
		})
	}
}

func TestTests(t *testing.T) {
	c := app(t, map[string]string{
		"go.mod":    goMod,
		"a/x/x.go":  "package x\n",
		"b/x/x.go":  "package x\n",
		"none/n.go": "package none\n",
		"a/x/data":  "golden",
		"a/x/x_test.go": `package x

import (
	"os"
	"os/user"
	"path/filepath"
	"testing"
)

func TestOne(t *testing.T) {
	t.Run("sub", func(t *testing.T) {})
	if data, err := os.ReadFile("data"); err != nil || string(data) != "golden" {
		t.Fatal(err)
	}
	// A test may write beside itself and to its temporary folder.
	if err := os.WriteFile("data.new", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(t.TempDir(), "x"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := user.Current(); err != nil {
		t.Fatal(err)
	}
}
func TestTwo(t *testing.T)    {}
func TestSkips(t *testing.T)  { t.Skip("not here") }
func Example()                {
	// Output:
}
func FuzzOne(f *testing.F)    { f.Add(1); f.Fuzz(func(*testing.T, int) {}) }
`,
		"b/x/x_test.go": "package x_test\n\nimport \"testing\"\n\nfunc TestThree(t *testing.T) {}\n",
	})
	var got build.Tests
	require.NoError(t, c.work(t, &got, "go-test"))
	assert.False(t, got.Started.IsZero())
	got.Started = build.Tests{}.Started
	assert.Equal(t, build.Tests{
		Packages: []build.TestPackage{
			{Name: "example.org/hello/a/x", Counts: build.Counts{Passed: 4, Skipped: 1}},
			{Name: "example.org/hello/b/x", Counts: build.Counts{Passed: 1}},
		},
		Counts: build.Counts{Passed: 5, Skipped: 1},
	}, got)
}

// A workspace has tests in each of its modules, and none at its root.
func TestTestsOfAWorkspace(t *testing.T) {
	c := app(t, map[string]string{
		"go.work": "go 1.26\n\nuse ./a\n\nuse ./b\n", "a/go.mod": "module example.org/a\n\ngo 1.26\n", "b/go.mod": "module example.org/b\n\ngo 1.26\n",
		"a/a_test.go": "package a\n\nimport \"testing\"\n\nfunc TestA(*testing.T) {}\n", "b/b_test.go": "package b\n\nimport \"testing\"\n\nfunc TestB(*testing.T) {}\n",
	})
	var got build.Tests
	require.NoError(t, c.work(t, &got, "go-test"))
	assert.Equal(t, build.Counts{Passed: 2}, got.Counts)
}

func TestTestsRefuse(t *testing.T) {
	file := func(body string) map[string]string {
		return map[string]string{"go.mod": goMod, "x.go": "package x\n", "x_test.go": "package x\n\n" + body}
	}
	const imports = "import (\n\t\"os\"\n\t\"testing\"\n)\n\nvar _ = os.Args\n\n"
	for name, tc := range map[string]struct {
		files  map[string]string
		args   []string
		reason string
		detail string
	}{
		"a failing test": {file(imports + "func TestA(t *testing.T) {}\nfunc TestB(t *testing.T) { t.Fatal(\"because\") }\n"), nil, "its own tests fail", "because"},
		"a failing test of the second package": {map[string]string{
			"go.mod": goMod, "a/a.go": "package a\n", "a/a_test.go": "package a\n\nimport \"testing\"\n\nfunc TestA(t *testing.T) {}\n",
			"b/b.go": "package b\n", "b/b_test.go": "package b\n\nimport \"testing\"\n\nfunc TestB(t *testing.T) { t.Error(\"because\") }\n",
		}, nil, "its own tests fail", "example.org/hello/b: exit code 1"},
		"no test":            {map[string]string{"go.mod": goMod, "x.go": "package x\n"}, nil, "has no test that ran", ""},
		"an empty test file": {file(""), nil, "has no test that ran", ""},
		"only skipped ones":  {file(imports + "func TestA(t *testing.T) { t.Skip() }\n"), nil, "each of its 1 skips itself", ""},
		"an early end":       {file(imports + "func TestMain(m *testing.M) { os.Exit(0) }\nfunc TestA(t *testing.T) {}\n"), nil, "has no test that ran", ""},
		"an exit in a test":  {file(imports + "func TestA(t *testing.T) {}\nfunc TestB(t *testing.T) { os.Exit(0) }\n"), nil, "its own tests fail", "exit code 2"},
		"a panic":            {file(imports + "func TestA(t *testing.T) { panic(\"ouch\") }\n"), nil, "its own tests fail", "ouch"},
		"a failing init":     {file(imports + "func init() { panic(\"at once\") }\nfunc TestA(t *testing.T) {}\n"), nil, "its own tests fail", "at once"},
		"a fault for go vet": {file("import (\n\t\"fmt\"\n\t\"testing\"\n)\n\nfunc TestA(t *testing.T) { fmt.Printf(\"%d\", \"x\") }\n"), nil, "go vet finds fault", "x_test.go"},
		"what is no test":    {file("func TestA(t *testing.T) {}\n"), nil, "go vet finds fault", "undefined: testing"},
		"an endless test":    {file(imports + "func TestA(t *testing.T) { for { } }\n"), []string{"--time=20s"}, "hits the limit of", ""},
		"endless output":     {file(imports + "func TestA(t *testing.T) { for { os.Stdout.Write(make([]byte, 1<<16)) } }\n"), []string{"--output=1MiB"}, "hits the limit of output", ""},
		"all the memory":     {file(imports + "func TestA(t *testing.T) { for i := range all { all[i] = make([]byte, 1<<20); clear(all[i]); for j := range all[i] { all[i][j] = 1 } } }\nvar all [1<<20][]byte\n"), []string{"--memory=1GiB"}, "hits the limit of memory", ""},
		"a full disk":        {file(imports + "func TestA(t *testing.T) { f, _ := os.Create(\"x\"); for { f.Write(make([]byte, 1<<16)) } }\n"), []string{"--disk=1GiB"}, "hits the limit of disk", ""},
	} {
		t.Run(name, func(t *testing.T) {
			refused(t, app(t, tc.files).work(t, nil, append([]string{"go-test"}, tc.args...)...), step.KindPolicy, tc.reason, "", tc.detail)
		})
	}
}

// TestATestLeavesNothingBehind: a hostile test tries to change what later results are
// made of, and to fake its own.
func TestATestLeavesNothingBehind(t *testing.T) {
	c := app(t, map[string]string{"go.mod": goMod, "x.go": "package x\n", "x_test.go": `package x

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func TestAttack(t *testing.T) {
	var done []string
	try := func(name string, err error) {
		if err == nil {
			done = append(done, name)
		}
	}
	for _, dir := range []string{"` + sharedCache + `", "/out", "/home/app", "` + goroot + `/src", "/go", "/etc", "/"} {
		try("write to "+dir, os.WriteFile(filepath.Join(dir, "attack"), nil, 0o644))
	}
	try("fake the result", os.WriteFile("/out/result.json", []byte("{\"value\":{\"passed\":99}}"), 0o644))
	try("kill the box", syscall.Kill(1, syscall.SIGKILL))
	_, err := os.ReadDir("` + sharedCache + `")
	try("read the cache", err)
	try("become the toolchain", syscall.Setuid(65532))
	// The control: what a test may write to it can.
	if err := os.WriteFile("mine", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	fmt.Println("\n{\"Action\":\"pass\",\"Test\":\"TestFake\"}")
	if len(done) > 0 {
		t.Fatal("could: ", done)
	}
}
`})
	var got build.Tests
	require.NoError(t, c.work(t, &got, "go-test"))
	assert.Equal(t, build.Counts{Passed: 1}, got.Counts)
}

func TestReadEvents(t *testing.T) {
	_, _, err := readEvents(strings.NewReader("{\"Action\":\"pass\"\n"))
	assert.ErrorContains(t, err, "read what test2json says")
	events := []map[string]string{{"Action": "output", "Output": "early\n"}, {"Action": "fail"}}
	var text strings.Builder
	for _, event := range events {
		line, err := json.Marshal(event)
		require.NoError(t, err)
		text.WriteString(string(line) + "\n")
	}
	counts, failures, err := readEvents(strings.NewReader(text.String()))
	require.NoError(t, err)
	assert.Equal(t, build.Counts{}, counts)
	assert.Equal(t, []string{"early"}, failures)
}
