package inventory

import (
	"bytes"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	ftypes "github.com/aquasecurity/trivy/pkg/fanal/types"
	"github.com/aquasecurity/trivy/pkg/types"

	"slipway/step/steptest"
)

// everything is a report that lists a package of each kind.
func everything() *types.Report {
	return report(
		system(ftypes.Debian, ftypes.Package{Name: "libc6"}), goProgram("app"), listing(ftypes.Jar, "Java", [2]string{"a", "app.jar"}),
		listing(ftypes.PythonPkg, "Python", [2]string{"p", "site/p-1.dist-info/METADATA"}), listing(ftypes.NodePkg, "Node.js", [2]string{"n", "node_modules/n/package.json"}))
}

// FuzzUnpack: two layers are refused, or every path of what they make, and every
// path that a package claims, lies in the image. Nothing is left behind.
func FuzzUnpack(f *testing.F) {
	lower := archive(f, symlink("lib", "usr/lib"), data("usr/lib/x.so", elf(1)), program("app", elf(2)), data("var/lib/dpkg/info/libc6.md5sums", md5of(elf(1))+"  lib/x.so\n"))
	for _, upper := range [][]byte{
		archive(f, without("app"), data("lib/.wh..wh..opq", "")), archive(f, symlink("lib", "lib"), hardlink("b", "app"), folder("app")),
		archive(f, symlink("a", "b/../../a"), data("a/b", elf(3)), symlink("a", "."), data("a/c/d", elf(4))),
		archive(f, data("site/p-1.dist-info/RECORD", "\"a\",sha256=\n../x,sha256=AAAA,1\n"), data("node_modules/n/a.node", elf(5)), data("app.jar", "PK\x03\x04")),
		archive(f, data("lib/apk/db/installed", "P:a\nF:..\nR:b\nZ:Q1AAAA\nZ\n:\n"), data("var/lib/dpkg/diversions", "/a\n/b\n")), lower[:700], {}, []byte("\x1f\x8b"),
	} {
		f.Add(lower, upper)
	}
	f.Fuzz(func(t *testing.T, one, two []byte) {
		scratch := t.TempDir()
		tree := &tree{root: &node{children: map[string]*node{}, layer: -1}, scratch: scratch}
		left := int64(16 << 20)
		for number, content := range [][]byte{one, two} {
			if err := tree.unpack(number, bytes.NewReader(content), io.Discard, &left); err != nil {
				return
			}
		}
		found := map[string]bool{}
		tree.files(func(name string, n *node) {
			if name == "" || name != clean(name) || strings.Contains(name, "//") {
				t.Fatalf("a file at %q", name)
			}
			found[name] = n.file.executable != nil
			if resolved := tree.resolve(name); resolved != clean(resolved) {
				t.Fatalf("%q leads to %q", name, resolved)
			}
		})
		claims := claimed(tree, everything(), found)
		for _, file := range slices.Sorted(maps.Keys(claims)) {
			if file != clean(file) {
				t.Fatalf("a claim for %q", file)
			}
		}
		if entries, err := os.ReadDir(scratch); err != nil || len(entries) > 0 {
			t.Fatalf("left behind: %v, %v", entries, err)
		}
	})
}

// FuzzLayer: an image's layer is refused by a whole fault, or looked at.
func FuzzLayer(f *testing.F) {
	f.Add([]byte("text"))
	f.Add(archive(f, program("app", elf(1))))
	f.Add(archive(f, hardlink("a", "b")))
	f.Fuzz(func(t *testing.T, layer []byte) {
		if bytes.HasPrefix(layer, []byte("\x1f\x8b")) || bytes.HasPrefix(layer, []byte("\x28\xb5\x2f\xfd")) {
			return // The sample would have to unpack it.
		}
		held, err := Of(Input{Platform: "linux/amd64", Layers: layers(t, layer), Report: everything(), Scratch: t.TempDir()})
		if err != nil {
			_ = steptest.Refused(t, err)
			return
		}
		for _, e := range held.Unknown {
			if e.Path == "" || e.Reason == "" || e.Kind == "" || len(e.SHA256) != 64 {
				t.Fatalf("%+v", e)
			}
		}
		if len(held.Unknown) > held.Executables {
			t.Fatalf("%d of %d are unknown", len(held.Unknown), held.Executables)
		}
	})
}
