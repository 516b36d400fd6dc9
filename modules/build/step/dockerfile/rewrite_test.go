package dockerfile

import (
	"bytes"
	"encoding/json"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/step"
)

var boxArgs = []string{"run", "--keep-user", "--time=20m"}

// ran is a RUN as the rewritten file has it.
func ran(arch string, args ...string) string {
	text, _ := array(append([]string{"/~slipway/box", "run", "--keep-user", "--time=20m", "--"}, args...))
	return "--mount=type=bind,source=box/" + arch + ",target=/~slipway/box " + text
}

func amd64(secrets ...string) Options {
	return Options{Platforms: []string{"linux/amd64"}, Secrets: secrets}
}

func TestRewrite(t *testing.T) {
	for name, tc := range map[string]struct{ file, want string }{
		"command":   {"FROM scratch\nRUN  echo  \"$HOME\"  '#'\n", "FROM scratch\nRUN --network=none " + ran("amd64", "/bin/sh", "-c", `echo  "$HOME"  '#'`) + "\n"},
		"exec form": {"FROM scratch\nrun [\"/a\", \"b c\", \"$D\\n\"]\n", "FROM scratch\nrun --network=none " + ran("amd64", "/a", "b c", "$D\n") + "\n"},
		"lines, and comments between them": {"FROM scratch\nRUN a && \\\n# a note\n    b \\\n\n  && c\nUSER 1\n",
			"FROM scratch\nRUN --network=none " + ran("amd64", "/bin/sh", "-c", "a &&     b   && c") + "\n\n\n\n\nUSER 1\n"},
		"another escape":             {"# escape=`\nFROM scratch\nRUN a `\n  \\b `` c\n", "# escape=`\nFROM scratch\nRUN --network=none " + ran("amd64", "/bin/sh", "-c", "a   \\b `` c") + "\n\n"},
		"here-document":              {"FROM scratch\nRUN <<E\na $X\n\tb\nE\nUSER 1\n", "FROM scratch\nRUN --network=none " + ran("amd64", "/bin/sh", "-c", "a $X\n\tb\n") + "\n\n\n\nUSER 1\n"},
		"here-document without tabs": {"FROM scratch\nRUN <<-E\n\ta\n\tE\n", "FROM scratch\nRUN --network=none " + ran("amd64", "/bin/sh", "-c", "a\n") + "\n\n\n"},
		"here-documents of a shell":  {"FROM scratch\nRUN cat <<A - <<'B'\nx\nA\ny\nB\n", "FROM scratch\nRUN --network=none " + ran("amd64", "/bin/sh", "-c", "cat <<A - <<'B'\nx\nA\ny\nB") + "\n\n\n\n\n"},
		"shell in force": {"FROM scratch AS a\nRUN x\nSHELL [\"/bin/bash\", \"-euc\"]\nRUN y\nFROM scratch\nRUN z\nFROM a\nRUN y\n",
			"FROM scratch AS a\nRUN --network=none " + ran("amd64", "/bin/sh", "-c", "x") + "\nSHELL [\"/bin/bash\", \"-euc\"]\nRUN --network=none " + ran("amd64", "/bin/bash", "-euc", "y") +
				"\nFROM scratch\nRUN --network=none " + ran("amd64", "/bin/sh", "-c", "z") + "\nFROM a\nRUN --network=none " + ran("amd64", "/bin/bash", "-euc", "y") + "\n"},
		"mounts": {"FROM scratch AS a\nFROM scratch\nRUN --mount=type=cache,id=x,target=/c,sharing=locked --mount=target=/src --mount=src=../a/b,dst=/d,ro --mount=from=a,target=/e --mount=type=secret,id=t,required true\n",
			"FROM scratch AS a\nFROM scratch\nRUN --network=none --mount=type=tmpfs,target=/c,size=2147483648 --mount=type=bind,source=context/,target=/src --mount=type=bind,source=context/a/b,target=/d --mount=type=bind,from=a,target=/e --mount=type=secret,id=t,required " +
				ran("amd64", "/bin/sh", "-c", "true") + "\n"},
		"network that is none":      {"FROM scratch\nRUN --network=none true\n", "FROM scratch\nRUN --network=none " + ran("amd64", "/bin/sh", "-c", "true") + "\n"},
		"stage of another platform": {"FROM --platform=linux/arm64 scratch AS a\nFROM a\nRUN true\n", "FROM --platform=linux/arm64 scratch AS a\nFROM a\nRUN --network=none " + ran("arm64", "/bin/sh", "-c", "true") + "\n"},
		"files": {"FROM scratch\nCOPY --chown=1:1 . ../x /a/ b* $C \\\n  'd' /\nADD [\"e f\", \"/\"]\nADD x.tar /\nCOPY --from=0 / /\n",
			"", // a later stage is needed; see below
		},
		"here-document that is copied": {"FROM scratch\nCOPY <<E <<F /x/\n$A\nE\nF\n", "FROM scratch\nCOPY <<E <<F /x/\n$A\nE\nF\n"},
		"what was fetched": {"FROM scratch\nADD --checksum=" + sha[1:] + " --chown=1:1 https://example.org/t.tgz /\nadd --checksum=" + sha[1:] + " --chmod=755 https://example.org/u /u\nADD [\"https://example.org/x.git#" + commitID + "\",\"/s\"]\n",
			"FROM scratch\nCOPY --chown=1:1 --chmod=0600 fetched/0/t.tgz /\nCOPY --chmod=755 fetched/1/u /u\nCOPY [\"fetched/2\",\"/s\"]\n"},
		"nothing to change": {"\xef\xbb\xbf# syntax=docker/dockerfile:1" + sha + "\r\nFROM scratch\r\nENV A=b \\\r\n c=d\r\nHEALTHCHECK CMD true\r\nCMD x", "\xef\xbb\xbf# syntax=docker/dockerfile:1" + sha + "\r\nFROM scratch\r\nENV A=b \\\r\n c=d\r\nHEALTHCHECK CMD true\r\nCMD x"},
	} {
		t.Run(name, func(t *testing.T) {
			if tc.want == "" {
				tc.file = "FROM scratch\n" + tc.file
				tc.want = "FROM scratch\nFROM scratch\nCOPY --chown=1:1 context/ context/x context/a context/b* context/$C context/'d' /\n\nADD [\"context/e f\",\"/\"]\nADD context/x.tar /\nCOPY --from=0 / /\n"
			}
			got, err := Rewrite("Dockerfile", []byte(tc.file), amd64("t"), boxArgs, nil)
			require.NoError(t, err)
			assert.Equal(t, tc.want, string(got.Dockerfile))
			assert.Empty(t, got.Scripts)
		})
	}
}

func TestRewriteMakesFilesOfScripts(t *testing.T) {
	got, err := Rewrite("Dockerfile", []byte("FROM scratch\nRUN <<-E\n\t#!/usr/bin/env python3\n\tE\nRUN <<E\n#!/bin/x\n$A\nE\n"), amd64(), boxArgs, nil)
	require.NoError(t, err)
	// With tabs before it, #! is a comment to a shell: that is how BuildKit has it.
	assert.Equal(t, map[string][]byte{"5": []byte("#!/bin/x\n$A\n")}, got.Scripts)
	assert.Equal(t, "FROM scratch\nRUN --network=none "+ran("amd64", "/bin/sh", "-c", "#!/usr/bin/env python3\n")+"\n\n\n"+
		"RUN --network=none --mount=type=bind,source=scripts/5,target=/~slipway/script "+ran("amd64", "/~slipway/script")+"\n\n\n\n", string(got.Dockerfile))
}

func TestRewriteKnowsBaseImages(t *testing.T) {
	file := []byte("FROM a" + sha + "\nRUN x\n")
	at := Config{Build: "linux/amd64", Platform: "linux/amd64", Reference: "a" + sha}

	got, err := Rewrite("Dockerfile", file, amd64(), boxArgs, map[Config]ImageConfig{at: {Shell: []string{"/bin/bash", "-c"}}})
	require.NoError(t, err)
	assert.Contains(t, string(got.Dockerfile), ran("amd64", "/bin/bash", "-c", "x"))

	_, err = Rewrite("Dockerfile", file, amd64(), boxArgs, map[Config]ImageConfig{at: {OnBuild: []string{"RUN --network=host curl x"}}})
	f, ok := step.AsFault(err)
	require.True(t, ok, "%v", err)
	assert.Equal(t, step.KindPolicy, f.Kind)
	assert.Equal(t, "Dockerfile:1", f.Input)
	assert.Equal(t, "FROM a"+sha+": the image runs ONBUILD instructions of its own", f.Reason)
	assert.Equal(t, []string{"RUN --network=host curl x"}, f.Details)
	assert.Contains(t, f.Mend, "without ONBUILD")

	_, err = Rewrite("Dockerfile", file, amd64(), boxArgs, nil)
	f, ok = step.AsFault(err)
	require.True(t, ok, "%v", err)
	assert.Equal(t, step.KindInput, f.Kind)
	assert.Equal(t, "has no config for linux/amd64", f.Reason)
}

func TestEachCommandIsServedThePackages(t *testing.T) {
	options := amd64()
	options.Packages = true
	got, err := Rewrite("Dockerfile", []byte("FROM scratch\nRUN npm ci\nRUN [\"/b\"]\n"), options, boxArgs, nil)
	require.NoError(t, err)
	mounts := "RUN --network=none --mount=type=bind,source=box/amd64,target=/~slipway/box --mount=type=bind,source=packages,target=/~slipway/packages "
	box := `["/~slipway/box","run","--keep-user","--time=20m","--packages=/~slipway/packages","--",`
	assert.Equal(t, "FROM scratch\n"+mounts+box+`"/bin/sh","-c","npm ci"]`+"\n"+mounts+box+`"/b"]`+"\n", string(got.Dockerfile))
}

func TestEachCommandFindsItsGateway(t *testing.T) {
	options := amd64()
	options.Network = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	file := "FROM scratch\nRUN --mount=type=cache,id=" + options.Network + ",target=/net fetch\n"
	got, err := Rewrite("Dockerfile", []byte(file), options, boxArgs, nil)
	require.NoError(t, err)
	// There is no network but the gateway's, and no mount of the app's leads to that.
	assert.Equal(t, "FROM scratch\nRUN --network=none --mount=type=tmpfs,target=/net,size=2147483648"+
		" --mount=type=bind,source=box/amd64,target=/~slipway/box --mount=type=cache,id="+options.Network+",target=/~slipway/net"+
		` ["/~slipway/box","run","--keep-user","--time=20m","--network=/~slipway/net","--","/bin/sh","-c","fetch"]`+"\n", string(got.Dockerfile))
	for _, id := range []string{"a", "slipway-program-modules", options.Network + ",from=x", strings.ToLower(options.Network), options.Network + "\n"} {
		options.Network = id
		_, err := Rewrite("Dockerfile", []byte(file), options, boxArgs, nil)
		assert.ErrorContains(t, err, "is not the id of a gateway's mount", id)
	}
}

func TestRewriteRefuses(t *testing.T) {
	for name, tc := range map[string]struct{ file, reason string }{
		"host network": {"FROM scratch\nRUN --network=host x\n", "RUN --network=host: a build reaches no network"},
		"long command": {"FROM scratch\nRUN <<E\n" + strings.Repeat("x\n", 50_000) + "E\n", "RUN: is longer than 60000 bytes"},
		"no text":      {"FROM scratch\nRUN \xff\n", "RUN: holds bytes that are no text"},
		"no command":   {"FROM scratch\nRUN []\n", "RUN: has no command"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Rewrite("Dockerfile", []byte(tc.file), amd64(), boxArgs, nil)
			f, ok := step.AsFault(err)
			require.True(t, ok, "%v", err)
			assert.Equal(t, step.KindPolicy, f.Kind)
			assert.Equal(t, "Dockerfile:2", f.Input)
			assert.Equal(t, tc.reason, f.Reason)
		})
	}
}

// FuzzRewrite: what is accepted means the same to the builder, but that each
// RUN is in the box without a network, and that paths are below the context.
func FuzzRewrite(f *testing.F) {
	for _, file := range []string{
		"FROM scratch AS a\nSHELL [\"/x\",\"-c\"]\nRUN --mount=type=cache,target=/c a \\\n # b\n\n c <<E\n$X\nE\nCOPY . \\\n  $A /x\n",
		"# escape=`\nFROM scratch\nRUN a `\n b\nRUN [\"a\",\"\\\\\"]\nADD ../a b /\n", "FROM scratch\nRUN <<-'E'\n\t#!/bin/x\n\tE\nRUN \"<<E\"\nRUN <<E\n#!/bin/x\nE\n",
		"FROM scratch\nCOPY <<E /x\nRUN x\nE\nADD https://example.org/x.git#" + commitID + " /\nRUN --network=none --mount=src=.,dst=/x echo \"a\\\n#b\n c\"\n",
		"\xef\xbb\xbf#x\nFROM scratch\r\nRUN a\\\r\n b\r\n\r\nCMD [\"x\"]\nLABEL a=\"b \\\n c\"\nRUN -- --network=host\n", "FROM scratch\nRUN [ \"a\" ] b\nCOPY [a]* [b /\nCOPY --x /y\n",
	} {
		f.Add([]byte(file))
	}
	f.Add([]byte("FROM scratch AS t\nCOPY --from=tools [\"a\",\"b\"]\nFROM --platform=linux/arm64 tools \\\n#x\n  AS tools\nCOPY --from=tools / /\nFROM tools\nCOPY --link --from=Tools [\"a\",\"b\"]\nCOPY --from=node:22 <<E /\nE\n"))
	options := platformBases("linux/amd64")
	options.Secrets = []string{"t"}
	f.Fuzz(func(t *testing.T, file []byte) {
		got, err := Rewrite("Dockerfile", file, options, boxArgs, nil)
		if err != nil {
			fault, ok := step.AsFault(err)
			if !ok || fault.Mend == "" || got.Dockerfile != nil {
				t.Fatal(err)
			}
			return
		}
		old, written := parsed(t, file), parsed(t, got.Dockerfile)
		if len(old) != len(written) {
			t.Fatalf("%d instructions become %d", len(old), len(written))
		}
		shells := [][]string{defaultShell}
		for i := range old {
			same(t, old[i], written[i], &shells, got.Scripts)
		}
		pinnedOnly(t, written)
	})
}

// pinnedOnly fails where what the builder gets names an image without its digest.
func pinnedOnly(t *testing.T, written []instruction) {
	stages := []string{"scratch"}
	for i, next := range written {
		var from []string
		switch is := next.is.(type) {
		case *instructions.Stage:
			if !strings.Contains(is.BaseName, "$") {
				from = append(from, is.BaseName)
			}
		case *instructions.CopyCommand:
			from = append(from, is.From)
		}
		for _, name := range from {
			if _, number := strconv.Atoi(name); name != "" && number != nil && !pinned(name) && !slices.Contains(stages, strings.ToLower(name)) {
				t.Fatalf("instruction %d takes %q", i, name)
			}
		}
		if is, ok := next.is.(*instructions.Stage); ok && is.Name != "" {
			stages = append(stages, is.Name)
		}
	}
}

type instruction struct {
	node *parser.Node
	is   any
}

func parsed(t *testing.T, file []byte) []instruction {
	tree, err := parser.Parse(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := instructions.Parse(tree.AST, nil); err != nil {
		t.Fatal(err)
	}
	var all []instruction
	for _, node := range tree.AST.Children {
		is, err := instructions.ParseInstruction(node)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, instruction{node, is})
	}
	return all
}

func same(t *testing.T, old, written instruction, shells *[][]string, scripts map[string][]byte) {
	if old.node.StartLine != written.node.StartLine {
		t.Fatalf("line %d becomes line %d", old.node.StartLine, written.node.StartLine)
	}
	switch is := written.is.(type) {
	case *instructions.RunCommand:
		if instructions.GetNetwork(is) != "none" || is.PrependShell || len(is.Files) > 0 {
			t.Fatalf("%+v", is)
		}
		if err := is.Expand(func(word string) (string, error) { return word, nil }); err != nil {
			t.Fatal(err)
		}
		mounts := instructions.GetMounts(is)
		box := mounts[len(mounts)-1]
		if box.Target != "/~slipway/box" || !strings.HasPrefix(box.Source, "box/") || box.From != "" {
			t.Fatalf("%+v", box)
		}
		for _, m := range mounts[:len(mounts)-1] {
			if m.Type == "cache" || m.Type == "ssh" || m.Type == "bind" && (!m.ReadOnly || m.From == "" && !strings.HasPrefix(path.Join("/", m.Source)+"/", "/context/") && !strings.HasPrefix(m.Source, "scripts/")) {
				t.Fatalf("%+v", m)
			}
		}
		prefix := slices.Concat([]string{"/~slipway/box"}, boxArgs, []string{"--"})
		if !slices.Equal(is.CmdLine[:len(prefix)], prefix) {
			t.Fatalf("%q", is.CmdLine)
		}
		runs(t, old.is.(*instructions.RunCommand), is.CmdLine[len(prefix):], scripts)
	case *instructions.CopyCommand:
		sourcesSame(t, old, written)
		from := ""
		if was, ok := old.is.(*instructions.CopyCommand); ok {
			from = was.From
		}
		if is.From != from && is.From != platformBases().Bases[from] {
			t.Fatalf("%s becomes %s", from, is.From)
		}
	case *instructions.AddCommand:
		sourcesSame(t, old, written)
		for _, source := range is.SourcePaths {
			if remote.MatchString(source) {
				t.Fatalf("%s is elsewhere", source)
			}
		}
	case *instructions.Stage:
		was := old.is.(*instructions.Stage)
		if strings.Contains(was.BaseName, "$") || is.BaseName == platformBases().Bases[was.BaseName] {
			was.BaseName = is.BaseName
		}
		if was.BaseName != is.BaseName || was.Name != is.Name || was.Platform != is.Platform {
			t.Fatalf("%+v becomes %+v", was, is)
		}
	default:
		if a, b := dump(t, old), dump(t, written); a != b {
			t.Fatalf("%s becomes %s", a, b)
		}
	}
}

// runs compares what a RUN ran with what the box runs.
func runs(t *testing.T, old *instructions.RunCommand, args []string, scripts map[string][]byte) {
	if !old.PrependShell {
		if !slices.Equal(old.CmdLine, args) {
			t.Fatalf("%q becomes %q", old.CmdLine, args)
		}
		return
	}
	text := strings.Join(old.CmdLine, " ")
	if len(old.Files) > 0 {
		if parser.MustParseHeredoc(text) != nil {
			text = old.Files[0].Data
			if old.Files[0].Chomp {
				text = parser.ChompHeredocContent(text)
			}
		} else {
			for _, f := range old.Files {
				text += "\n" + f.Data + f.Name
			}
		}
	}
	if len(args) == 1 {
		for _, script := range scripts {
			if string(script) == text {
				return
			}
		}
	}
	if args[len(args)-1] != text {
		t.Fatalf("%q becomes %q", text, args)
	}
}

func sourcesSame(t *testing.T, old, written instruction) {
	a, b := words(old.node), words(written.node)
	if len(a) != len(b) || a[len(a)-1] != b[len(b)-1] {
		t.Fatalf("%q becomes %q", a, b)
	}
	for i := range a[:len(a)-1] {
		if a[i] != b[i] && !strings.HasPrefix(b[i], "context/") && !strings.HasPrefix(b[i], "fetched/") {
			t.Fatalf("%q becomes %q", a, b)
		}
		if a[i] == b[i] && !heredoc(a[i]) && flagged(old.node, "from") == "" {
			t.Fatalf("%q stays", a)
		}
	}
}

func dump(t *testing.T, i instruction) string {
	text, err := json.Marshal(i.is)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestBoxIsMountedLast: the engine sorts mounts by their targets, byte by byte.
func TestBoxIsMountedLast(t *testing.T) {
	for b := range byte(128) {
		target := "/" + string(rune(b))
		if literal.MatchString(target) {
			assert.Less(t, target+"\xff", boxPath, "%q", target)
		}
	}
}
