package step_test

import (
	"strings"
	"testing"

	"slipway/step"
	"slipway/step/steptest"
)

func TestName(t *testing.T) {
	for _, name := range []string{"a", "0", "hello", "dev-2", "a--b", strings.Repeat("a", 63)} {
		if err := step.Name("app", "app", name); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range append(steptest.Hostile(), "", "-", "-a", "a-", "A", "a_b", "a.b", "a/b", "..", "a b", "ä", "a\n", "\na", strings.Repeat("a", 64)) {
		f := steptest.Refused(t, step.Name("release", "environment", name))
		is(t, step.KindInput, f.Kind)
		is(t, "release", f.Stage)
		is(t, "is not a valid name", f.Reason)
		is(t, "use 1 to 63 lower-case letters, digits and dashes, beginning and ending with a letter or digit", f.Mend)
		steptest.Printable(t, f.Error())
		if len(f.Input) > 500 || !strings.HasPrefix(f.Input, `environment "`) {
			t.Fatalf("%q", f.Input)
		}
	}
	f := steptest.Refused(t, step.Name("a", "app", "a\x1b\n\"b"))
	is(t, `app "a\x1b\n\"b"`, f.Input)
	is(t, `app "`+strings.Repeat("B", 80)+`"`, steptest.Refused(t, step.Name("a", "app", strings.Repeat("B", 80))).Input)
	is(t, `app "`+strings.Repeat("B", 80)+`"… (81 bytes)`, steptest.Refused(t, step.Name("a", "app", strings.Repeat("B", 81))).Input)
}

func TestDigest(t *testing.T) {
	good := "sha256:" + strings.Repeat("0a", 32)
	if err := step.Digest("scan", "image", good); err != nil {
		t.Fatal(err)
	}
	for _, digest := range []string{
		"", "sha256:", good[7:], good + "0", good[:70], good + "\n", "\n" + good, " " + good, strings.ToUpper(good), "sha256:" + strings.ToUpper(good[7:]),
		"sha512:" + good[7:], "sha512:" + strings.Repeat("0a", 64), good + "@" + good, "a@" + good, "sha256:" + strings.Repeat("0g", 32),
	} {
		f := steptest.Refused(t, step.Digest("scan", "image", digest))
		is(t, step.KindInput, f.Kind)
		is(t, "is not a sha256 digest", f.Reason)
		is(t, "give sha256: and 64 lower-case hexadecimal digits", f.Mend)
		if !strings.HasPrefix(f.Input, `image "`) {
			t.Fatalf("%q", f.Input)
		}
	}
}
