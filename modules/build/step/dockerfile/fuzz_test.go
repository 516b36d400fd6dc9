package dockerfile

import (
	"reflect"
	"strings"
	"testing"

	"slipway/step"
	"slipway/step/steptest"
)

// FuzzCheckAdded: a file that passes does so each time, and no longer once it has
// a stage or a copy from an image that is not pinned; what is refused says why.
func FuzzCheckAdded(f *testing.F) {
	for _, file := range []string{
		"# syntax=docker/dockerfile:1" + sha + "\nFROM --platform=$BUILDPLATFORM " + golang + " AS Build\nRUN --mount=type=bind,from=alpine" + sha + ",target=/x go build\nFROM scratch\nCOPY --from=build /a /a\n",
		"ARG TAG=1.26\nARG BASE=golang:${TAG}" + sha + "\nFROM ${BASE}\n", "ARG BASE\nFROM ${BASE:-golang" + sha + "}\n", "# escape=`\nFROM `\n  scratch\n",
		"FROM scratch\nRUN <<EOF\nFROM alpine\nEOF\n", "FROM scratch\nRUN <<A <<B\nA\nFROM x\nB\n", "FROM scratch\nCOPY <<\"E O F\" /x\n$BASE\nE O F\n",
		"FROM scratch AS a\nFROM A\nCOPY --from=0 / /\n", "\xef\xbb\xbfFROM scratch\n", "FROM scratch\n\\\n", "FROM scratch AS golang\n", "# syntax=a\n# syntax=b" + sha + "\nFROM scratch\n",
		"// syntax=x\nFROM scratch\n", `{"syntax":"x"}` + "\nFROM scratch\n", "FROM ${BASE#*:}\n", "FROM scratch\nRUN --mount=from=busybox,from=scratch true\n",
		"ARG BASE=" + golang + "\nFROM scratch AS base\nFROM $BASE\n", "FROM scratch\nADD --from=x / /\n", "FROM scratch\nONBUILD COPY --from=x / /\n",
	} {
		f.Add([]byte(file), "BASE", golang)
		f.Add([]byte(file), "BUILDKIT_SYNTAX", "evil/frontend")
	}
	f.Fuzz(func(t *testing.T, file []byte, key, value string) {
		options := both(map[string]string{key: value})
		got, err := Check("Dockerfile", file, options)
		if err != nil {
			if fault := steptest.Refused(t, err); fault.Stage != Stage || fault.Kind == step.KindInfrastructure || !strings.HasPrefix(fault.Input, "Dockerfile") || got.Bases != nil {
				t.Fatal(err)
			}
			return
		}
		for _, b := range got.Bases {
			if b.Kind != KindImage {
				continue
			}
			if _, digest, _ := strings.Cut(b.Reference, "@"); step.Digest(Stage, "base", digest) != nil {
				t.Fatalf("%+v passes", b)
			}
		}
		if again, err := Check("Dockerfile", file, options); err != nil || !reflect.DeepEqual(got, again) {
			t.Fatalf("%+v, and then %+v, %v", got, again, err)
		}
		// A line that goes on would take what is added for its own.
		if strings.ContainsAny(string(file), "\\`") {
			return
		}
		for _, more := range []string{"FROM golang:1.26\n", "FROM scratch\nCOPY --from=golang:1.26 / /\n", "FROM scratch\nRUN --mount=from=golang:1.26,target=/x true\n"} {
			if more, err := Check("Dockerfile", append([]byte(string(file)+"\n"), more...), options); err == nil {
				t.Fatalf("passes with golang:1.26: %+v", more.Bases)
			}
		}
	})
}
