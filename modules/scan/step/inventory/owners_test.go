package inventory

import (
	"crypto/sha1" //nolint:gosec // As in the package.
	"encoding/base64"
	"testing"

	ftypes "github.com/aquasecurity/trivy/pkg/fanal/types"
	"github.com/aquasecurity/trivy/pkg/types"
	"github.com/stretchr/testify/assert"
)

func TestDpkgPackages(t *testing.T) {
	const info = "var/lib/dpkg/info/"
	library, tool := elf(1), "#!/bin/sh\n"
	sums := md5of(library) + "  lib/x86_64/libc.so.6\n" + md5of(tool) + "  usr/bin/ldd\n"
	base := []entry{
		symlink("lib", "usr/lib"), data("usr/lib/x86_64/libc.so.6", library), program("usr/bin/ldd", tool),
		data(info+"libc6:amd64.md5sums", sums),
	}
	debian := report(system(ftypes.Debian, ftypes.Package{Name: "libc6"}))
	assert.Empty(t, look(t, debian, archive(t, base...)))

	distroless := append([]entry{}, base[:3]...)
	assert.Empty(t, look(t, debian, archive(t, append(distroless, data("var/lib/dpkg/status.d/libc6.md5sums", sums))...)))

	const changed = "has other content than the package libc6 says"
	assert.Equal(t, map[string]string{"usr/lib/x86_64/libc.so.6": changed}, look(t, debian, archive(t, base...), archive(t, data("usr/lib/x86_64/libc.so.6", elf(9)))), "written over")
	assert.Equal(t, map[string]string{"lib/x86_64/libc.so.6": changed}, look(t, debian, archive(t, base...), archive(t, data("lib/x86_64/libc.so.6", elf(9)))), "written through a link")
	assert.Equal(t, map[string]string{"usr/bin/ldd": changed}, look(t, debian, archive(t, append(base, program("usr/bin/ldd.new", "text"))...), archive(t, program("usr/bin/ldd", tool+"exec evil\n"))))
	assert.Equal(t, map[string]string{"opt/libc.so.6": noPackage}, look(t, debian, archive(t, base...), archive(t, data("opt/libc.so.6", elf(9)))), "another place")
	assert.Empty(t, look(t, debian, archive(t, base...), archive(t, data("opt/libc.so.6", library))), "a copy of what is known")
	assert.Len(t, look(t, debian, archive(t, base...), archive(t, without(info+"libc6:amd64.md5sums"))), 2, "the database removed")
	assert.Len(t, look(t, debian, archive(t, base[:3]...), archive(t, data("tmp/libc6.md5sums", sums))), 2, "a database elsewhere")

	diverted := append(append([]entry{}, base...), program("usr/bin/ldd", "#!/bin/sh\nother\n"), program("usr/bin/ldd.libc6", tool),
		data(info+"other.md5sums", md5of("#!/bin/sh\nother\n")+"  usr/bin/ldd\n"), data("var/lib/dpkg/diversions", "/usr/bin/ldd\n/usr/bin/ldd.libc6\nother\n"))
	diverted = append(diverted[:2:2], diverted[3:]...)
	assert.Empty(t, look(t, report(system(ftypes.Debian, ftypes.Package{Name: "libc6"}, ftypes.Package{Name: "other"})), archive(t, diverted...)))

	for name, r := range map[string]*types.Report{
		"a package that the report does not list": report(system(ftypes.Debian, ftypes.Package{Name: "libc"})),
		"a package of a language":                 report(listing(ftypes.PythonPkg, "Python", [2]string{"libc6"})),
	} {
		assert.Equal(t, noPackage, look(t, r, archive(t, base...))["usr/lib/x86_64/libc.so.6"], name)
	}
	foreign := report(system(ftypes.Debian, ftypes.Package{Name: "libc6", Repository: ftypes.PackageRepository{Class: ftypes.RepositoryClassThirdParty}}))
	assert.Equal(t, "is of the package libc6, which is not the distribution's, so that its advisories say nothing about it",
		look(t, foreign, archive(t, base...))["usr/bin/ldd"])
}

func TestApkPackages(t *testing.T) {
	sum := sha1.Sum([]byte(elf(1))) //nolint:gosec // As in the package.
	database := "P:musl\nV:1.2.5-r0\nF:lib\nR:ld-musl.so\na:0:0:755\nZ:Q1" + base64.StdEncoding.EncodeToString(sum[:]) + "\n\nP:other\nF:lib\nR:none\nZ:Q\nZ:\nR:\n\n"
	alpine := report(system(ftypes.Alpine, ftypes.Package{Name: "musl"}))
	assert.Empty(t, look(t, alpine, archive(t, data("lib/apk/db/installed", database), data("lib/ld-musl.so", elf(1)))))
	assert.Equal(t, map[string]string{"lib/ld-musl.so": "has other content than the package musl says"},
		look(t, alpine, archive(t, data("lib/apk/db/installed", database), data("lib/ld-musl.so", elf(2)))))
	assert.Equal(t, map[string]string{"lib/ld-musl.so": noPackage},
		look(t, report(system(ftypes.Alpine, ftypes.Package{Name: "other"})), archive(t, data("lib/apk/db/installed", database), data("lib/ld-musl.so", elf(1)))))
}

// Trivy's report names an RPM package's files and the layer that brought it, but
// no sums: a file that another layer wrote is not the package's.
func TestRPMPackages(t *testing.T) {
	base := archive(t, program("usr/bin/curl", elf(1)))
	diffID := layers(t, base)[0].DiffID
	redhat := report(system(ftypes.RedHat, ftypes.Package{Name: "curl", InstalledFiles: []string{"/usr/bin/curl"}, Layer: ftypes.Layer{DiffID: diffID}}))
	assert.Empty(t, look(t, redhat, base))
	assert.Equal(t, map[string]string{"usr/bin/curl": "is of the package curl, but was written by another layer than the package"},
		look(t, redhat, base, archive(t, program("usr/bin/curl", elf(2)))))
	assert.Equal(t, map[string]string{"usr/bin/wget": noPackage}, look(t, redhat, base, archive(t, program("usr/bin/wget", elf(2)))))
	assert.Equal(t, map[string]string{"usr/bin/curl": noPackage},
		look(t, report(system(ftypes.Debian, redhat.Results[0].Packages...)), base), "another system's files have sums")
}

func TestPackagesOfInterpreters(t *testing.T) {
	const site = "usr/lib/python3/site-packages/"
	addon, script := elf(1), "#!/usr/bin/python3\n"
	record := "pkg/addon.so," + recordOf(addon) + ",1\n../../../bin/tool," + recordOf(script) + ",2\nalone\npkg-1.0.dist-info/RECORD,,\nunsummed,md5=x,1\nrubbish,sha256=!,1\n\"odd\n"
	files := []entry{data(site+"pkg/addon.so", addon), program("usr/bin/tool", script), data(site+"pkg-1.0.dist-info/RECORD", record)}
	python := report(listing(ftypes.PythonPkg, "Python", [2]string{"pkg", site + "pkg-1.0.dist-info/METADATA"}))
	assert.Empty(t, look(t, python, archive(t, files...)))
	assert.Equal(t, map[string]string{site + "pkg/addon.so": "has other content than the package pkg-1.0 says"},
		look(t, python, archive(t, append(files, data(site+"x", ""))...), archive(t, data(site+"pkg/addon.so", elf(2)))))
	assert.Equal(t, map[string]string{site + "pkg/other.so": noPackage}, look(t, python, archive(t, append(files, data(site+"pkg/other.so", elf(2)))...)))
	assert.Len(t, look(t, report(), archive(t, files...)), 2, "a package that the report does not list")

	node := report(listing(ftypes.NodePkg, "Node.js", [2]string{"sharp", "app/node_modules/sharp/package.json"},
		[2]string{"addon", "app/node_modules/@scope/addon/package.json"}, [2]string{"app", "app/package.json"}))
	assert.Empty(t, look(t, node, archive(t, data("app/node_modules/sharp/build/a.node", elf(1)), data("app/node_modules/@scope/addon/a.node", elf(2)))))
	strangers := archive(t, data("app/a.node", elf(1)), data("app/node_modules/other/a.node", elf(2)), data("app/node_modules/a.node", elf(3)),
		data("app/node_modules/sharp/node_modules/inner/a.node", elf(4)), data("app/node_modules/@scope/a.node", elf(5)), data("node_modules", elf(6)))
	assert.Len(t, look(t, node, strangers), 6)
}

func TestProgramsOfRust(t *testing.T) {
	rust := report(listing(ftypes.RustBinary, "usr/bin/rg", [2]string{"ripgrep"}))
	assert.Empty(t, look(t, rust, archive(t, program("usr/bin/rg", elf(1)))))
	assert.Equal(t, map[string]string{"usr/bin/fd": noPackage}, look(t, rust, archive(t, program("usr/bin/rg", elf(1)), program("usr/bin/fd", elf(2)))))
}
