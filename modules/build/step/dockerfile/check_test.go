package dockerfile

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/step"
)

const (
	sha    = "@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	golang = "docker.io/library/golang:1.26" + sha
)

func TestCheckListsPinnedBases(t *testing.T) {
	for name, tc := range map[string]struct {
		file  string
		args  map[string]string
		bases []Base
	}{
		"stages": {
			file: "# syntax=docker/dockerfile:1\n" +
				"FROM --platform=$BUILDPLATFORM " + golang + " AS Build\n" +
				"RUN --mount=type=cache,target=/root/.cache --mount=type=bind,from=alpine" + sha + ",target=/x go build\n" +
				"FROM build AS other\n" +
				"FROM scratch\n" +
				"COPY --from=build /app /app\n" +
				"COPY --from=1 /app /app\n" +
				"COPY --from=alpine" + sha + " /etc/os-release /\n" +
				"COPY --from=scratch / /\n" +
				"COPY . .\n",
			bases: []Base{
				{Line: 2, Instruction: "FROM", Reference: golang, Kind: KindImage},
				{Line: 3, Instruction: "RUN --mount", Reference: "alpine" + sha, Kind: KindImage},
				{Line: 4, Instruction: "FROM", Reference: "build", Kind: KindStage},
				{Line: 5, Instruction: "FROM", Reference: "scratch", Kind: KindScratch},
				{Line: 6, Instruction: "COPY --from", Reference: "build", Kind: KindStage},
				{Line: 7, Instruction: "COPY --from", Reference: "1", Kind: KindStage},
				{Line: 8, Instruction: "COPY --from", Reference: "alpine" + sha, Kind: KindImage},
				{Line: 9, Instruction: "COPY --from", Reference: "scratch", Kind: KindScratch},
			},
		},
		"argument with a default": {
			file:  "ARG TAG=1.26\nARG BASE=golang:${TAG}" + sha + "\nFROM ${BASE}\n",
			bases: []Base{{Line: 3, Instruction: "FROM", Reference: "golang:1.26" + sha, Kind: KindImage}},
		},
		"argument given": {
			file:  "ARG BASE=golang:latest\nFROM $BASE\n",
			args:  map[string]string{"BASE": "golang" + sha},
			bases: []Base{{Line: 2, Instruction: "FROM", Reference: "golang" + sha, Kind: KindImage}},
		},
		"default in the reference": {
			file:  "ARG BASE\nFROM ${BASE:-golang" + sha + "}\n",
			bases: []Base{{Line: 2, Instruction: "FROM", Reference: "golang" + sha, Kind: KindImage}},
		},
		"continued lines and comments": {
			file:  "# escape=`\n\nFROM `\n# a note\n  golang" + sha + " `\n AS x\n",
			bases: []Base{{Line: 3, Instruction: "FROM", Reference: "golang" + sha, Kind: KindImage}},
		},
		"from in a heredoc is no FROM": {
			file:  "FROM golang" + sha + "\nRUN <<EOF\nFROM alpine\nEOF\n",
			bases: []Base{{Line: 1, Instruction: "FROM", Reference: "golang" + sha, Kind: KindImage}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Check("Dockerfile", []byte(tc.file), both(tc.args))
			require.NoError(t, err)
			assert.Equal(t, tc.bases, got.Bases)
		})
	}
}

func TestCheckRefusesWhatIsNotPinned(t *testing.T) {
	for name, tc := range map[string]struct {
		file    string
		args    map[string]string
		input   string
		details []string
	}{
		"tag": {file: "FROM golang:1.26\n", input: "Dockerfile:1",
			details: []string{"line 1: FROM golang:1.26: is not pinned by digest"}},
		"every line is named": {file: "\nFROM golang AS build\nFROM alpine:3\nCOPY --from=busybox /bin /bin\nRUN --mount=from=nginx,target=/n true\n", input: "Dockerfile:2",
			details: []string{
				"line 2: FROM golang: is not pinned by digest",
				"line 3: FROM alpine:3: is not pinned by digest",
				"line 4: COPY --from busybox: is not pinned by digest",
				"line 5: RUN --mount nginx: is not pinned by digest",
			}},
		"short digest": {file: "FROM golang@sha256:0123\n", input: "Dockerfile:1",
			details: []string{"line 1: FROM golang@sha256:0123: is not pinned by digest"}},
		"weaker digest": {file: "FROM golang@md5:0123456789abcdef0123456789abcdef\n", input: "Dockerfile:1",
			details: []string{"line 1: FROM golang@md5:0123456789abcdef0123456789abcdef: is not pinned by digest"}},
		"argument without a value": {file: "ARG BASE\nFROM $BASE\n", input: "Dockerfile:2",
			details: []string{"line 2: FROM $BASE: can't be told: BASE has no value"}},
		"argument that an argument hides": {file: "ARG A=$B\nFROM $A\n", input: "Dockerfile:2",
			details: []string{"line 2: FROM $A: can't be told: A has no value"}},
		"argument of a stage": {file: "FROM scratch\nARG BASE=golang" + sha + "\nFROM $BASE\n", input: "Dockerfile:3",
			details: []string{"line 3: FROM $BASE: can't be told: BASE has no value"}},
		"argument given unpinned": {file: "ARG BASE=golang" + sha + "\nFROM $BASE\n", args: map[string]string{"BASE": "golang:evil"}, input: "Dockerfile:2",
			details: []string{"line 2: FROM golang:evil: is not pinned by digest"}},
		"platform with a default": {file: "FROM ${TARGETARCH:-golang" + sha + "}\n", input: "Dockerfile:1",
			details: []string{"line 1: FROM amd64: is not pinned by digest", "line 1: FROM arm64: is not pinned by digest"}},
		"build platform with a default": {file: "FROM ${BUILDPLATFORM:-golang" + sha + "}\n", input: "Dockerfile:1",
			details: []string{"line 1: FROM linux/amd64: is not pinned by digest", "line 1: FROM linux/arm64: is not pinned by digest"}},
		"stage of one platform only": {file: "FROM scratch AS build-amd64\nFROM build-$TARGETARCH\n", input: "Dockerfile:2",
			details: []string{"line 2: FROM build-arm64: is not pinned by digest"}},
		"platform that an ARG empties": {file: "ARG TARGETARCH\nFROM scratch AS build-amd64\nFROM scratch AS build-arm64\nFROM build-$TARGETARCH\n", input: "Dockerfile:4",
			details: []string{"line 4: FROM build-: is not pinned by digest"}},
		"platform that an ARG sets": {file: "ARG TARGETARCH=s390x\nFROM scratch AS build-amd64\nFROM scratch AS build-arm64\nFROM build-$TARGETARCH\n", input: "Dockerfile:4",
			details: []string{"line 4: FROM build-s390x: is not pinned by digest"}},
		"empty argument with a default for none": {file: "ARG BASE\nFROM ${BASE-golang" + sha + "}\n", input: "Dockerfile:2",
			details: []string{"line 2: FROM ${BASE-golang" + sha + "}: can't be told: BASE has no value"}},
		"what looks like a here-document to others": {file: "FROM scratch\nRUN cat << CMD\nFROM alpine\nCMD\n", input: "Dockerfile:3",
			details: []string{"line 3: FROM alpine: is not pinned by digest"}},
		"later stage": {file: "FROM scratch\nCOPY --from=later / /\nFROM scratch AS later\n", input: "Dockerfile:2",
			details: []string{"line 2: COPY --from later: is not pinned by digest"}},
		"number of no earlier stage": {file: "FROM scratch\nCOPY --from=0 / /\n", input: "Dockerfile:2",
			details: []string{"line 2: COPY --from 0: is not an earlier stage"}},
		"number in FROM": {file: "FROM scratch\nFROM 0\n", input: "Dockerfile:2",
			details: []string{"line 2: FROM 0: is not pinned by digest"}},
		"variable in COPY": {file: "FROM scratch\nCOPY --from=$X / /\n", input: "Dockerfile:2",
			details: []string{"line 2: COPY --from $X: a variable can't be filled in here"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Check("Dockerfile", []byte(tc.file), both(tc.args))
			f, ok := step.AsFault(err)
			require.True(t, ok, "want a fault, got %+v, %v", got, err)
			assert.Equal(t, step.KindPolicy, f.Kind)
			assert.Equal(t, "build", f.Stage)
			assert.Equal(t, tc.input, f.Input)
			assert.Equal(t, tc.details, f.Details)
			assert.Contains(t, f.Mend, "@sha256:")
			assert.Empty(t, got.Bases)
		})
	}
}

func TestCheckRefusesWhatIsNoDockerfile(t *testing.T) {
	for name, tc := range map[string]struct{ file, reason string }{
		"empty":   {"", "file with no instructions"},
		"no FROM": {"ARG A=1\n", "has no FROM"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Check("apps/web/Dockerfile", []byte(tc.file), both(nil))
			f, ok := step.AsFault(err)
			require.True(t, ok, "%v", err)
			assert.Equal(t, step.KindInput, f.Kind)
			assert.Equal(t, "apps/web/Dockerfile", f.Input)
			assert.Contains(t, f.Reason, tc.reason)
		})
	}
}

// FuzzCheck: whatever the file, a pass lists only bases that are what the
// policy allows, and there is one for each FROM.
func FuzzCheck(f *testing.F) {
	f.Add("FROM golang" + sha + " AS a\nFROM a\nCOPY --from=0 / /\n")
	f.Add("ARG A=x\nFROM ${A:-y}\nRUN --mount=from=z true\n")
	f.Add("# escape=`\n# syntax=a" + sha + "\nFROM scratch\n")
	f.Add("FROM scratch\nRUN <<E cat\nFROM x\nE\n")
	f.Fuzz(func(t *testing.T, file string) {
		got, err := Check("Dockerfile", []byte(file), both(nil))
		if err != nil {
			_, ok := step.AsFault(err)
			assert.True(t, ok, "%v is no fault", err)
			return
		}
		assert.NotEmpty(t, got.Bases)
		for _, b := range got.Bases {
			switch b.Kind {
			case KindImage:
				_, digest, _ := strings.Cut(b.Reference, "@")
				assert.NoError(t, step.Digest("build", "base", digest))
			case KindScratch:
				assert.Equal(t, "scratch", b.Reference)
			case KindStage:
			default:
				t.Errorf("base of kind %q", b.Kind)
			}
		}
	})
}

// both are the options of a build for both platforms.
func both(args map[string]string) Options {
	return Options{Platforms: []string{"linux/amd64", "linux/arm64"}, Args: args}
}
