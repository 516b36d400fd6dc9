package lock

import (
	"bytes"
	"io/fs"
	"reflect"
	"strings"
	"testing"

	"slipway/step/steptest"
)

// FuzzParse: a lock that is accepted is the same when it is written and read
// again, and its paths stay inside an archive.
func FuzzParse(f *testing.F) {
	good := "git 1:2.39.5-0+deb12u3 " + sum + " pool/main/g/git/git_2.39.5-0+deb12u3_amd64.deb\n"
	for _, text := range []string{
		good, "# note\n\n" + good, good + good, "git 1 " + sum + " ../git.deb\n", "git 1 " + sum + " /git.deb\n", "git 1 " + sum + " a/./git.deb\n", "git\u00a01 " + sum + " x.deb\n",
		"git 1 " + strings.ToUpper(sum) + " git.deb", "#git 1 " + sum + " git.deb", "git 1 " + sum + " http://x/git.deb\n", "\xff 1 " + sum + " \xff.deb\n", "", "\r\n", strings.Repeat("x", 1<<16),
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		packages, err := Parse("node.lock", bytes.NewReader(data))
		if err != nil {
			if fault := steptest.Refused(t, err); packages != nil || !strings.HasPrefix(fault.Input, "node.lock") {
				t.Fatal(err)
			}
			return
		}
		for _, p := range packages {
			if !fs.ValidPath(p.Path) || len(p.SHA256) != 64 {
				t.Fatalf("%+v", p)
			}
		}
		var written bytes.Buffer
		if err := Write(&written, packages); err != nil {
			t.Fatal(err)
		}
		if again, err := Parse("node.lock", &written); err != nil || !reflect.DeepEqual(packages, again) {
			t.Fatalf("%+v became %+v, %v", packages, again, err)
		}
	})
}
