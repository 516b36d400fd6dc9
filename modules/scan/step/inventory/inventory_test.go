package inventory

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	ftypes "github.com/aquasecurity/trivy/pkg/fanal/types"
	"github.com/aquasecurity/trivy/pkg/types"
	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/step"
)

const (
	noPackage = "is of no package, and names no modules that it is built of"
	twice     = "is in its layer more than once, so that nobody knows which of them was looked at"
)

func TestGoPrograms(t *testing.T) {
	whole := goBuilt(t, app)
	stripped := goBuilt(t, app, "-ldflags=-s -w", "-trimpath", "-buildvcs=false")
	scrubbed := strings.ReplaceAll(stripped, "\xff Go buildinf:", "\xff No buildinf:")
	require.NotEqual(t, stripped, scrubbed)
	modless := strings.ReplaceAll(stripped, "mod\texample.com/app\t", "mud\texample.com/app\t")
	require.NotEqual(t, stripped, modless)

	assert.Empty(t, look(t, report(goProgram("app"), goProgram("usr/bin/stripped")),
		archive(t, program("app", whole), program("usr/bin/stripped", stripped))))
	assert.Equal(t, map[string]string{
		"a/unlisted": "is a Go program that Trivy does not list",
		"a/data":     "is a Go program without an executable bit, which Trivy does not open",
		"a/scrubbed": noPackage,
		"a/modless":  "is a Go program whose build information names no module",
	}, look(t, report(goProgram("app"), goProgram("a/modless")), archive(t,
		program("app", whole), program("a/unlisted", stripped), data("a/data", stripped+"x"), program("a/scrubbed", scrubbed), program("a/modless", modless))))
}

func TestAStrangerBesideAGoProgram(t *testing.T) {
	good := report(goProgram("app"))
	benign := program("app", goBuilt(t, app))
	for name, c := range map[string]struct {
		stranger entry
		kind     string
	}{
		"a static program":             {program("opt/x", elf(1)), kindELF},
		"one without an exec bit":      {data("opt/x", elf(1)), kindELF},
		"one that runs as its owner":   {entry{name: "opt/x", content: elf(1), mode: 0o4755}, kindELF + " that runs as its owner"},
		"one with a group's rights":    {entry{name: "opt/x", content: elf(1), mode: 0o2644}, kindELF + " that runs as its owner"},
		"one of another architecture":  {data("opt/x", "\x7fELF\x01\x02\x01 and whatever"), kindELF},
		"a mere beginning":             {data("opt/x", "\x7fELF"), kindELF},
		"a shared object":              {data("usr/lib/x.so", elf(2)), kindELF},
		"a Windows program":            {data("opt/x", "MZ"+strings.Repeat("\x00", 58)+"\x40\x00\x00\x00PE\x00\x00 and so on"), kindPE},
		"a Mac program":                {data("opt/x", "\xcf\xfa\xed\xfe and so on"), kindMachO},
		"a Mac program for two":        {data("opt/x", "\xca\xfe\xba\xbe\x00\x00\x00\x02 and so on"), kindMachO},
		"a script among the programs":  {program("usr/local/bin/x", "#!/bin/sh\n"), kindScript},
		"a script at the root":         {program("x.sh", "#!/bin/sh\n"), kindScript},
		"an archive that Python runs":  {data("opt/x", jar(t, [2]string{"__main__.py", "print()"})), kindZip},
		"a Java archive by its name":   {data("opt/x.WAR", "whatever"), kindJava},
		"a Java archive by content":    {data("opt/x", jar(t, [2]string{"a/B.class", "x"})), kindJava},
		"a path that leaves the image": {program("../../opt/x", elf(1)), kindELF},
	} {
		t.Run(name, func(t *testing.T) {
			held, unknown := inventoried(t, good, "", archive(t, benign, c.stranger))
			require.Len(t, unknown, 1)
			assert.Equal(t, 2, held.Executables)
			assert.Equal(t, c.kind, held.Unknown[0].Kind)
			assert.Equal(t, clean(c.stranger.name), held.Unknown[0].Path)
		})
	}
	for name, file := range map[string]entry{
		"text":                          data("a", "hello"),
		"nothing":                       program("a", ""),
		"text that begins like a PE":    data("a", "MZ is how it begins"+strings.Repeat(" ", 100)),
		"a class":                       data("a", "\xca\xfe\xba\xbe\x00\x00\x00\x41 and so on"),
		"a zip archive":                 data("zoneinfo.zip", jar(t, [2]string{"Europe/Berlin", "x"})),
		"a damaged zip archive":         data("a", "PK\x03\x04 and nothing"),
		"a script that nobody can run":  data("usr/bin/a", "#!/bin/sh\n"),
		"a script among data":           program("usr/share/doc/a", "#!/bin/sh\n"),
		"a link to a program":           symlink("usr/bin/a", "../../app"),
		"a link that leaves the image":  symlink("usr/bin/b", "../../../../../bin/sh"),
		"another name of a program":     hardlink("usr/bin/a", "app"),
		"the same content once more":    program("usr/bin/again", benign.content),
		"a link to itself":              symlink("loop", "loop"),
		"a file that its name calls Go": data("main.go", "package main\n"),
	} {
		t.Run(name, func(t *testing.T) {
			assert.Empty(t, look(t, good, archive(t, benign, file)))
		})
	}
}

// What the image looks like in the end counts, however its layers are packed.
func TestLayers(t *testing.T) {
	good := report(goProgram("app"))
	benign := archive(t, program("app", goBuilt(t, app)))
	stranger := archive(t, folder("opt"), program("opt/x", elf(1)))
	var zipped, standard bytes.Buffer
	zw := gzip.NewWriter(&zipped)
	_, err := zw.Write(stranger)
	require.NoError(t, err)
	require.NoError(t, zw.Close())
	sw, err := zstd.NewWriter(&standard)
	require.NoError(t, err)
	_, err = sw.Write(stranger)
	require.NoError(t, err)
	require.NoError(t, sw.Close())
	for name, layer := range map[string][]byte{"plain": stranger, "gzip": zipped.Bytes(), "zstd": standard.Bytes()} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, map[string]string{"opt/x": noPackage}, look(t, good, benign, layer))
		})
	}
	for name, c := range map[string]struct {
		upper []entry
		want  []string
	}{
		"removed":                            {[]entry{without("opt/x")}, nil},
		"its folder removed":                 {[]entry{without("opt")}, nil},
		"its folder emptied":                 {[]entry{data("opt/.wh..wh..opq", "")}, nil},
		"all emptied, and the program again": {[]entry{data(".wh..wh..opq", ""), program("app", "")}, nil},
		"replaced by text":                   {[]entry{data("opt/x", "text")}, nil},
		"replaced by a link":                 {[]entry{symlink("opt/x", "/app")}, nil},
		"its folder replaced by a file":      {[]entry{data("opt", "text")}, nil},
		"replaced by a folder":               {[]entry{folder("opt/x")}, nil},
		"replaced by another stranger":       {[]entry{program("opt/x", elf(2))}, []string{"opt/x"}},
		"its folder named again":             {[]entry{folder("opt")}, []string{"opt/x"}},
		"another removed":                    {[]entry{without("opt/y"), without("nowhere/x")}, []string{"opt/x"}},
		"removed, and written by that layer": {[]entry{program("opt/x", elf(3)), without("opt/x")}, []string{"opt/x"}},
		"emptied, and written by that layer": {[]entry{program("opt/y", elf(3)), data("opt/.wh..wh..opq", "")}, []string{"opt/y"}},
		"a second name":                      {[]entry{hardlink("usr/bin/y", "opt/x")}, []string{"opt/x", "usr/bin/y"}},
		"a second name, the first removed":   {[]entry{hardlink("usr/bin/y", "opt/x"), without("opt/x")}, []string{"usr/bin/y"}},
		"hidden behind a link, then relinked": {[]entry{symlink("bin", "opt"), program("bin/y", elf(3)), symlink("bin", "opt"), without("bin")},
			[]string{"bin/y", "opt/x"}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			held, _ := inventoried(t, good, "", benign, stranger, archive(t, c.upper...))
			for _, e := range held.Unknown {
				got = append(got, e.Path)
			}
			assert.Equal(t, c.want, got)
		})
	}

	// What was written through a link stays when the link goes.
	assert.Equal(t, map[string]string{"bin/y": noPackage, "opt/x": noPackage},
		look(t, good, benign, stranger, archive(t, symlink("bin", "opt"), program("bin/y", elf(3))), archive(t, without("bin"))))

	// Which of two a scanner has read, nobody knows.
	content := goBuilt(t, app)
	assert.Equal(t, map[string]string{"app": twice}, look(t, good, archive(t, program("app", elf(1)), program("app", content))))
	assert.Equal(t, map[string]string{"b": twice}, look(t, report(goProgram("app"), goProgram("b")), archive(t, program("app", content), program("b", elf(1)), program("b", content))))
	assert.Equal(t, map[string]string{"app": twice}, look(t, good, archive(t, data("app", "text"), program("app", elf(1)), program("./app", content+" "))))
}

func TestJavaArchives(t *testing.T) {
	leaf := jar(t, [2]string{"a/B.class", "x"})
	fat := jar(t, [2]string{"META-INF/MANIFEST.MF", ""}, [2]string{"BOOT-INF/lib/known.jar", leaf}, [2]string{"BOOT-INF/lib/deep.war", jar(t, [2]string{"lib/stranger.jar", leaf + "x"})})
	java := func(files ...string) *types.Report {
		var packages [][2]string
		for _, file := range files {
			packages = append(packages, [2]string{"g:a", file})
		}
		return report(listing(ftypes.Jar, "Java", packages...))
	}
	image := archive(t, data("app.jar", fat))
	held, unknown := inventoried(t, java("app.jar", "app.jar/BOOT-INF/lib/known.jar", "app.jar/BOOT-INF/lib/deep.war", "app.jar/BOOT-INF/lib/deep.war/lib/stranger.jar"), "", image)
	assert.Empty(t, unknown)
	assert.Equal(t, 4, held.Executables)
	assert.Equal(t, map[string]string{"app.jar/BOOT-INF/lib/deep.war/lib/stranger.jar": noArtifact},
		look(t, java("app.jar", "app.jar/BOOT-INF/lib/known.jar", "app.jar/BOOT-INF/lib/deep.war"), image))
	assert.Equal(t, map[string]string{"app.jar": noArtifact}, look(t, java(), image))
	assert.Equal(t, map[string]string{"lib/app": noArtifact}, look(t, java(), archive(t, data("lib/app", fat))), "Trivy goes by the name")
	assert.Equal(t, map[string]string{"app.jar": "is no zip archive"}, look(t, java("app.jar"), archive(t, data("app.jar", "text"))))
	assert.Equal(t, map[string]string{"app.jar": "holds the archive x.jar, which can't be read"}, look(t, java("app.jar", "app.jar/x.jar"),
		archive(t, data("app.jar", strings.Replace(jar(t, [2]string{"x.jar", leaf}), "PK\x03\x04", "PK\x03\x05", 1)))))
	deep := leaf
	for range deepest + 1 {
		deep = jar(t, [2]string{"x.jar", deep})
	}
	assert.Equal(t, map[string]string{"app.jar": "holds too many archives in archives"}, look(t, java("app.jar"), archive(t, data("app.jar", deep))))

	// What a system's package brings is the system's, with all that is in it.
	assert.Empty(t, look(t, report(system(ftypes.Debian, ftypes.Package{Name: "libj"})), archive(t,
		data("usr/share/java/app.jar", fat), data("var/lib/dpkg/info/libj.md5sums", md5of(fat)+"  usr/share/java/app.jar\n"))))
}

func TestScriptsOfTheSource(t *testing.T) {
	source := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(source, "docker"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(source, "docker", "entrypoint.sh"), []byte("#!/bin/sh\nexec app\n"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(source, "tool"), []byte(elf(1)), 0o755))
	require.NoError(t, os.Symlink("/etc/passwd", filepath.Join(source, "link")))
	_, unknown := inventoried(t, report(), source, archive(t,
		program("entrypoint", "#!/bin/sh\nexec app\n"), program("bin/other", "#!/bin/sh\nexec evil\n"), program("bin/tool", elf(1))))
	assert.Equal(t, map[string]string{
		"bin/other": "is of no package, and no file of the app's source",
		"bin/tool":  noPackage, // A program that is committed is still of no known origin.
	}, unknown)
}

// Beyond its bounds, and where it can't be read, there is no inventory.
func TestImagesThatCannotBeRead(t *testing.T) {
	of := func(t *testing.T, archives ...[]byte) error {
		_, err := Of(Input{Platform: "linux/amd64", Layers: layers(t, archives...), Report: report(), Scratch: t.TempDir()})
		return err
	}
	cut := archive(t, program("app", elf(1)))
	for name, c := range map[string]struct {
		layer  []byte
		reason string
	}{
		"no archive":              {[]byte("text, and no archive"), "unexpected EOF"},
		"cut off":                 {cut[:600], "unexpected EOF"},
		"a damaged gzip stream":   {[]byte("\x1f\x8b and then"), "gzip"},
		"a hard link to nowhere":  {archive(t, hardlink("a", "b")), `"a": it is a hard link to "b", which is no file of the image`},
		"a hard link to a folder": {archive(t, folder("b"), hardlink("a", "b")), "which is no file of the image"},
		"a path without end":      {archive(t, data(strings.Repeat("a/", longest/2)+"b", "")), "its path has more than 4096 bytes"},
		"a link without end":      {archive(t, symlink("a", strings.Repeat("a", longest+1))), "its path has more than 4096 bytes"},
		"an unknown type":         {archive(t, entry{name: "a", kind: tar.TypeCont, content: "x"}), `it is of tar type '7'`},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "a damaged gzip stream" {
				_, _, err := decompress(bytes.NewReader(c.layer))
				require.ErrorContains(t, err, c.reason)
				return
			}
			fault, ok := step.AsFault(of(t, c.layer))
			require.True(t, ok)
			assert.Equal(t, step.KindInput, fault.Kind)
			assert.Equal(t, stage, fault.Stage)
			assert.Contains(t, fault.Input, "layer sha256:")
			assert.Contains(t, fault.Reason, "can't be read, so there is no verdict: ")
			assert.Contains(t, fault.Reason, c.reason)
			assert.NotEmpty(t, fault.Mend)
		})
	}

	defer func(entries int, size, records int64) { mostEntries, mostBytes, mostRecords = entries, size, records }(mostEntries, mostBytes, mostRecords)
	image := archive(t, program("app", elf(1)), data("lib/apk/db/installed", strings.Repeat("x", 600)))
	require.NoError(t, of(t, image))
	mostRecords = 599
	require.ErrorContains(t, of(t, image), "the package databases have more than 599 bytes")
	mostRecords = 600
	require.NoError(t, of(t, image))
	mostEntries = 1
	require.ErrorContains(t, of(t, image), "more than 1 files and folders")
	mostEntries, mostBytes, mostRecords = 7, int64(2*len(image)), 1200
	require.NoError(t, of(t, image, image))
	mostBytes--
	require.ErrorContains(t, of(t, image, image), "unpacks to more than")
}

func TestALayerThatIsNotWhatItsImageSays(t *testing.T) {
	one := layers(t, archive(t, program("app", elf(1))))
	two := layers(t, archive(t, data("app", "text")))
	two[0].DiffID = one[0].DiffID
	_, err := Of(Input{Layers: two, Report: report(), Scratch: t.TempDir()})
	require.ErrorContains(t, err, "it unpacks to sha256:")
}
