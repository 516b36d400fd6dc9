package step_test

import (
	"testing"

	"slipway/step"
)

func TestReference(t *testing.T) {
	for text, want := range map[string][2]string{
		"localhost:5000/hello@sha256:0a":    {"localhost:5000/hello", "sha256:0a"},
		"localhost:5000/hello:v1@sha256:0a": {"localhost:5000/hello:v1", "sha256:0a"},
		"localhost:5000/hello:v1":           {"localhost:5000/hello:v1", ""},
		"hello@":                            {"hello", ""},
		"@sha256:0a":                        {"", "sha256:0a"},
		"a@sha256:0a@sha256:0b":             {"a", "sha256:0a@sha256:0b"},
		"":                                  {"", ""},
	} {
		if r := step.Reference(text); r.Repository() != want[0] || r.Digest() != want[1] || r.String() != text {
			t.Errorf("%q is %q and %q", text, r.Repository(), r.Digest())
		}
	}
	for text, want := range map[step.Reference]step.Reference{
		"localhost:5000/hello:v1@sha256:0a": "localhost:5000/hello@sha256:0a", "localhost:5000/hello@sha256:0a": "localhost:5000/hello@sha256:0a",
		"node:22@sha256:0a": "node@sha256:0a", "node@sha256:0a": "node@sha256:0a", "a:1/b@sha256:0a": "a:1/b@sha256:0a",
	} {
		if r := text.Untagged(); r != want {
			t.Errorf("%s without its tag is %s", text, r)
		}
	}
	if r := step.Refer("a/b", "sha256:0a"); r != "a/b@sha256:0a" {
		t.Errorf("refers to %q", r)
	}
}
