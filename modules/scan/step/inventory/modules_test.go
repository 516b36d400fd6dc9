package inventory

import (
	"maps"
	"testing"

	ftypes "github.com/aquasecurity/trivy/pkg/fanal/types"
	"github.com/aquasecurity/trivy/pkg/types"
	"github.com/stretchr/testify/assert"
)

// What a real build says of the modules that it replaced.
func TestModulesThatTrivyKnowsByAnotherName(t *testing.T) {
	files := func(goMod string, more map[string]string) map[string]string {
		all := map[string]string{
			"go.mod":       "module example.com/app\n\ngo 1.24\n\n" + goMod,
			"main.go":      "package main\n\nimport \"golang.org/x/text\"\n\nfunc main() { text.Use() }\n",
			"copy/text.go": "package text\n\nfunc Use() {}\n",
			"copy/go.mod":  "module golang.org/x/text\n\ngo 1.24\n",
		}
		maps.Copy(all, more)
		return all
	}
	for name, c := range map[string]struct {
		files map[string]string
		want  []Module
	}{
		"nothing replaced": {app, []Module{{Path: "example.com/app"}}},
		"a folder instead of a version": {files("require golang.org/x/text v0.3.7\n\nreplace golang.org/x/text => ./copy\n", nil),
			[]Module{{Path: "example.com/app"}, {Path: "golang.org/x/text", Version: "v0.3.7", Replacement: "./copy"}}},
		"a folder of another name": {files("require golang.org/x/text v0.0.0\n\nreplace golang.org/x/text => ./copy\n", map[string]string{"copy/go.mod": "module example.com/mine\n"}),
			[]Module{{Path: "example.com/app"}, {Path: "golang.org/x/text", Version: "v0.0.0", Replacement: "./copy"}}},
		"a workspace": {files("require golang.org/x/text v0.3.7\n", map[string]string{"go.work": "go 1.24\n\nuse (\n\t.\n\t./copy\n)\n"}),
			[]Module{{Path: "example.com/app"}, {Path: "golang.org/x/text"}}},
	} {
		t.Run(name, func(t *testing.T) {
			held, unknown := inventoried(t, report(goProgram("app", [2]string{"./copy"}, [2]string{"golang.org/x/text"})), "", archive(t, program("app", goBuilt(t, c.files, "-buildvcs=false"))))
			assert.Empty(t, unknown)
			for i := range held.Modules {
				assert.Equal(t, "app", held.Modules[i].Program)
				assert.Regexp(t, "^[0-9a-f]{64}$", held.Modules[i].SHA256)
				held.Modules[i].Program, held.Modules[i].SHA256 = "", ""
			}
			assert.ElementsMatch(t, c.want, held.Modules)
		})
	}

	// A distribution answers for what its packages are built of.
	content := goBuilt(t, app)
	held, _ := inventoried(t, report(system(ftypes.Debian, ftypes.Package{Name: "app"})), "", archive(t,
		program("app", content), data("var/lib/dpkg/info/app.md5sums", md5of(content)+"  app\n")))
	assert.Empty(t, held.Modules)
}

// What Trivy lists for a path may be about a program that a lower layer has there.
func TestAListingIsHeldToTheProgram(t *testing.T) {
	p := place{path: "app", executable: &executable{kind: kindELF, runnable: true, goInfo: parsed(t,
		"path\texample.com/app\nmod\texample.com/app\t(devel)\ndep\texample.com/a\tv1.0.0\ndep\texample.com/b\tv1.0.0\n=>\t../b\t(devel)\t\n")}}
	all := [][2]string{{"example.com/a", "v1.0.0"}, {"../b", ""}}
	assert.Empty(t, (&known{listed: list(report(goProgram("app", all...)))}).goProgram(p))
	for missing, listing := range map[string]types.Result{
		"../b":            goProgram("app", all[0]),
		"example.com/a":   goProgram("app", all[1], [2]string{"example.com/a", "v1.0.1"}),
		"example.com/app": {Target: "app", Class: types.ClassLangPkg, Type: ftypes.GoBinary, Packages: goProgram("app", all...).Packages[2:]},
	} {
		assert.Equal(t, "is a Go program of which Trivy does not list the module "+missing, (&known{listed: list(report(listing))}).goProgram(p))
	}

	const replaces = "replaces another executable of a lower layer, which the scanner may have looked at instead"
	rust := report(listing(ftypes.RustBinary, "rg", [2]string{"ripgrep"}))
	assert.Equal(t, map[string]string{"rg": replaces}, look(t, rust, archive(t, program("rg", elf(1))), archive(t, program("rg", elf(2)))))
	assert.Empty(t, look(t, rust, archive(t, program("rg", elf(1))), archive(t, program("rg", elf(1)))), "the same once more")
	assert.Empty(t, look(t, rust, archive(t, program("rg", elf(1))), archive(t, without("rg")), archive(t, program("rg", elf(2)))), "nothing is there any more")
	java := report(listing(ftypes.Jar, "Java", [2]string{"g:a", "app.jar"}))
	assert.Equal(t, map[string]string{"app.jar": replaces},
		look(t, java, archive(t, data("app.jar", jar(t, [2]string{"a", "1"}))), archive(t, data("app.jar", jar(t, [2]string{"a", "2"})))))
}

func TestWhichModulesAreJudgedAgain(t *testing.T) {
	text := "path\texample.com/app/cmd\nmod\texample.com/app\tv1.2.3\n" +
		"dep\texample.com/same\tv1.0.0\n=>\texample.com/same\tv1.0.1\th1:x\n" +
		"dep\texample.com/fork\tv1.0.0\n=>\tgithub.com/us/fork\tv1.0.1\th1:x\n" +
		"dep\texample.com/folder\tv1.0.0\n=>\t/src/copy\t(devel)\t\n" +
		"dep\texample.com/lost\t(devel)\n=>\t../lost\t\t\n" +
		"dep\texample.com/workspace\t(devel)\ndep\texample.com/plain\tv1.0.0\n"
	p := place{path: "app", executable: &executable{sha256: "1", goInfo: parsed(t, text)}}
	assert.Equal(t, []Module{
		{"app", "1", "example.com/fork", "v1.0.0", "github.com/us/fork@v1.0.1"},
		{"app", "1", "example.com/folder", "v1.0.0", "/src/copy"},
		{"app", "1", "example.com/lost", "", "../lost"},
		{"app", "1", "example.com/workspace", "", ""},
	}, modules(p))
	assert.Empty(t, modules(place{executable: &executable{}}))
}
