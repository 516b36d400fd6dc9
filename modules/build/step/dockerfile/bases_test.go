package dockerfile

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/step"
	"slipway/step/steptest"
)

const chosen = "registry.example.org/bases/node" + sha

// platformBases are what a platform has chosen.
func platformBases(platforms ...string) Options {
	return Options{Platforms: platforms, Bases: map[string]string{"node:22": chosen, "tools": golang}}
}

func TestABaseThatThePlatformHasChosen(t *testing.T) {
	const file = "# syntax=docker/dockerfile:1\n" +
		"ARG V=22\n" +
		"FROM --platform=$BUILDPLATFORM node:${V} \\\n  AS build\n" +
		"FROM node:22 AS node\n" +
		"COPY --chown=1:1 --from=tools /a [b /c\n" +
		"COPY --from=tools [\"/d e\", \"/\"]\n" +
		"COPY --from=build /x /\n" +
		"FROM scratch AS tools\n" +
		"FROM node\n" +
		"COPY --from=tools /y /\n" +
		"RUN --mount=from=node:22,target=/m true\n"
	checked, err := Check("Dockerfile", []byte(file), platformBases("linux/amd64", "linux/arm64"))
	require.NoError(t, err)
	assert.Equal(t, []Base{
		{Line: 3, Instruction: "FROM", Reference: chosen, Kind: KindImage},
		{Line: 5, Instruction: "FROM", Reference: chosen, Kind: KindImage},
		{Line: 6, Instruction: "COPY --from", Reference: golang, Kind: KindImage},
		{Line: 7, Instruction: "COPY --from", Reference: golang, Kind: KindImage},
		{Line: 8, Instruction: "COPY --from", Reference: "build", Kind: KindStage},
		{Line: 9, Instruction: "FROM", Reference: "scratch", Kind: KindScratch},
		{Line: 10, Instruction: "FROM", Reference: "node", Kind: KindStage},
		{Line: 11, Instruction: "COPY --from", Reference: "tools", Kind: KindStage},
		{Line: 12, Instruction: "RUN --mount", Reference: chosen, Kind: KindImage},
	}, checked.Bases)
	images := map[Config]ImageConfig{}
	for _, c := range checked.Configs {
		assert.Equal(t, chosen, c.Reference)
		images[c] = ImageConfig{}
	}
	got, err := Rewrite("Dockerfile", []byte(file), platformBases("linux/amd64"), boxArgs, images)
	require.NoError(t, err)
	assert.Equal(t, "# syntax=docker/dockerfile:1\n"+
		"ARG V=22\n"+
		"FROM --platform=$BUILDPLATFORM "+chosen+" AS build\n\n"+
		"FROM "+chosen+" AS node\n"+
		"COPY --chown=1:1 --from="+golang+" /a [b /c\n"+
		"COPY --from="+golang+" [\"/d e\",\"/\"]\n"+
		"COPY --from=build /x /\n"+
		"FROM scratch AS tools\n"+
		"FROM node\n"+
		"COPY --from=tools /y /\n"+
		"RUN --network=none --mount=type=bind,from="+chosen+",target=/m "+ran("amd64", "/bin/sh", "-c", "true")+"\n",
		string(got.Dockerfile))
}

func TestAChosenBaseIsForExactlyItsName(t *testing.T) {
	for name, file := range map[string]string{
		"another tag":             "FROM node:20\n",
		"no tag":                  "FROM node\n",
		"another writing of it":   "FROM library/node:22\n",
		"of another registry":     "FROM example.org/node:22\n",
		"in COPY":                 "FROM scratch\nCOPY --from=node:20 / /\n",
		"in a mount":              "FROM scratch\nRUN --mount=from=Node:22,target=/x true\n",
		"the digest is no sha256": "FROM node:22@sha512:12\n",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Check("Dockerfile", []byte(file), platformBases("linux/amd64"))
			fault := steptest.Refused(t, err)
			assert.Equal(t, step.KindPolicy, fault.Kind)
			assert.Contains(t, fault.Reason, "is not pinned by digest")
			assert.Contains(t, fault.Mend, "build.bases")
		})
	}
	_, err := Rewrite("Dockerfile", []byte("FROM scratch\nCOPY --from=tools <<E /x\nE\n"), platformBases("linux/amd64"), boxArgs, nil)
	assert.Contains(t, steptest.Refused(t, err).Reason, "COPY --from tools: can't be told")
	for written, base := range map[string]string{"node:22": "node:23", "node" + sha: chosen, "node": ""} {
		_, err := Check("Dockerfile", []byte("FROM scratch\n"), Options{Platforms: []string{"linux/amd64"}, Bases: map[string]string{written: base}})
		assert.Equal(t, step.KindInput, steptest.Refused(t, err).Kind, written)
	}
}

// Whatever Docker's frontend is named, the engine's own builder reads the file; it
// runs none other.
func TestSyntax(t *testing.T) {
	for _, ref := range []string{"docker/dockerfile", "docker/dockerfile:1.7-labs", "docker/dockerfile:1" + sha, "docker/dockerfile-upstream:master", "moby/dockerfile:1"} {
		for _, line := range []string{"# syntax=" + ref + "\n", "#!/usr/bin/env x\n# syntax = " + ref + "\n", "//syntax=" + ref + "\n"} {
			checked, err := Check("Dockerfile", []byte(line+"FROM scratch\n"), both(nil))
			if strings.HasPrefix(line, "//") {
				// Only a frontend that is run would understand the rest of such a file.
				assert.Error(t, err, line)
				continue
			}
			require.NoError(t, err, line)
			assert.Len(t, checked.Bases, 1)
		}
	}
	for _, ref := range []string{"evil/frontend:1", "evil/frontend" + sha, "example.org/docker/dockerfile:1", "localhost:5000/docker/dockerfile", "docker/dockerfile-other:1", "docker/dockerfile/x", "$X", "dockerfile"} {
		_, err := Check("Dockerfile", []byte("# syntax="+ref+"\nFROM scratch\n"), both(nil))
		fault := steptest.Refused(t, err)
		assert.Equal(t, step.KindPolicy, fault.Kind, ref)
		assert.Equal(t, "Dockerfile:1", fault.Input)
		assert.Contains(t, fault.Reason, "# syntax "+ref+": is not Docker's own frontend")
		assert.Contains(t, fault.Mend, "take the line out")
	}
}
