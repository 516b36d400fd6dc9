package step_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"slipway/step"
	"slipway/step/steptest"
)

type value struct {
	Digest string `json:"digest"`
}

func TestDecode(t *testing.T) {
	var v value
	if err := step.Decode([]byte(" {\"value\": {\"digest\": \"sha256:00\", \"more\": 1}}\n "), &v); err != nil {
		t.Fatal(err)
	}
	is(t, "sha256:00", v.Digest)
	for _, text := range []string{`{"value":null}`, `{"value":[]}`, `{"value":0}`} {
		if err := step.Decode([]byte(text), nil); err != nil {
			t.Fatal(err)
		}
	}
	var list []string
	if err := step.Decode([]byte(`{"value":null}`), &list); err != nil {
		t.Fatal(err)
	}
	for _, kind := range []step.Kind{step.KindPolicy, step.KindInput, step.KindInfrastructure} {
		text := fmt.Sprintf(`{"fault":{"kind":%q,"stage":"scan","input":"a","reason":"b\nc","mend":"::d::","details":["e\nmend: f"]}}`, kind)
		f := steptest.Refused(t, step.Decode([]byte(text), &v))
		is(t, kind, f.Kind)
		is(t, `scan|a|b c|\::d::|e|mend: f`, strings.Join(append([]string{f.Stage, f.Input, f.Reason, f.Mend}, f.Details...), "|"))
	}
}

// TestDecodeTakesNoOtherFile: what Write does not write is neither a pass nor a
// decision.
func TestDecodeTakesNoOtherFile(t *testing.T) {
	const whole = `{"kind":"policy","stage":"a","input":"b","reason":"c","mend":"d"}`
	for text, want := range map[string]string{
		``: "no JSON", ` `: "no JSON", `{`: "no JSON", `{"value":`: "no JSON", `{"value":1`: "no JSON", `{"value":{}`: "no JSON", `{"value":{}]`: "no JSON", `{"value" 1}`: "no JSON", `{1:2}`: "no JSON",
		`{"value":1,}`: "no JSON", `{"value":01}`: "no JSON", "\x00": "no JSON", "{\"fault\":" + whole: "no JSON",
		`null`: "no JSON object", `[]`: "no JSON object", `true`: "no JSON object", `"passed"`: "no JSON object", `[{"value":1}]`: "no JSON object",
		`{}`: "neither a value nor a fault", `{"passed":true}`: `unknown field "passed"`, `{"value":1,"passed":true}`: `unknown field "passed"`,
		`{"Value":1}`: `unknown field "Value"`, `{"FAULT":null,"value":1}`: `unknown field "FAULT"`, `{"\u001b":1}`: `unknown field "\x1b"`,
		`{"fault":` + whole + `,"value":1}`: "both a value and a fault", `{"value":1,"fault":null}`: "both a value and a fault",
		`{"fault":` + whole + `,"fault":null}`: "the field fault twice", `{"value":1,"value":2}`: "the field value twice",
		`{"value":1}{}`: "goes on behind its end", `{"value":1}{"fault":` + whole + `}`: "goes on behind its end", `{"value":1}x`: "goes on behind its end",
		`{"fault":null}`: "no JSON object", `{"fault":false}`: "no JSON object", `{"fault":"refused"}`: "no JSON object", `{"fault":{}}`: "no known kind",
		`{"fault":` + strings.Replace(whole, "policy", "pass", 1) + `}`: "no known kind", `{"fault":` + strings.Replace(whole, "policy", "Policy", 1) + `}`: "no known kind",
		`{"fault":` + strings.Replace(whole, `"a"`, `""`, 1) + `}`: "no stage", `{"fault":` + strings.Replace(whole, `"b"`, `" "`, 1) + `}`: "no input",
		`{"fault":` + strings.Replace(whole, `"c"`, `"\n"`, 1) + `}`: "no reason", `{"fault":` + strings.Replace(whole, `,"mend":"d"`, ``, 1) + `}`: "no mend",
		`{"fault":` + strings.Replace(whole, `"c"`, `1`, 1) + `}`: "its fault can't be read", `{"fault":` + strings.Replace(whole, `"mend"`, `"Mend"`, 1) + `}`: `unknown field "Mend"`,
		`{"fault":` + strings.Replace(whole, `{`, `{"kind":"input",`, 1) + `}`: "the field kind twice", `{"fault":` + strings.Replace(whole, `{`, `{"passed":true,`, 1) + `}`: `unknown field "passed"`,
		`{"value":null}`: "its value is null", `{"value":[]}`: "another shape", `{"value":{"digest":1}}`: "another shape",
	} {
		err := step.Decode([]byte(text), &value{})
		f := steptest.Refused(t, err)
		is(t, step.KindInfrastructure, f.Kind)
		is(t, "step", f.Stage)
		is(t, step.ResultFile, f.Input)
		is(t, "use step programs and pipeline of one version; what the program printed says more", f.Mend)
		if !strings.HasPrefix(f.Reason, "is not what a step program writes: ") || !strings.Contains(f.Reason, want) {
			t.Fatalf("%s: %v does not say %q", text, err, want)
		}
	}
	// A value that nothing can be read into is the caller's mistake, and no pass.
	for _, into := range []any{5, value{}, map[string]value{}} {
		is(t, true, strings.Contains(steptest.Refused(t, step.Decode([]byte(`{"value":null}`), into)).Reason, "another shape"))
	}
	if err := step.Decode(nil, nil); !errors.Is(err, io.EOF) {
		t.Fatalf("the cause of %v is lost", err)
	}
	// What an incomplete fault says is not lost.
	err := step.Decode([]byte(`{"fault":{"kind":"pass","stage":"a","input":"b","reason":"is vulnerable","mend":""}}`), nil)
	if !strings.Contains(err.Error(), "is vulnerable") {
		t.Fatal(err)
	}
}

func TestWrite(t *testing.T) {
	read := func(out string) string {
		data, err := os.ReadFile(filepath.Join(out, step.ResultFile))
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	out := filepath.Join(t.TempDir(), "a", "b")
	for _, v := range []any{value{"sha256:00"}, &value{"sha256:00"}} {
		if err := step.Write(out, v, nil); err != nil {
			t.Fatal(err)
		}
		is(t, "{\n  \"value\": {\n    \"digest\": \"sha256:00\"\n  }\n}\n", read(out))
	}
	info, err := os.Stat(filepath.Join(out, step.ResultFile))
	if err != nil {
		t.Fatal(err)
	}
	is(t, 0o644, info.Mode())

	// A fault wins over a value, and replaces what was there.
	fault := step.Policy("scan", "a", "b", "c", "d")
	for _, err := range []error{fault, fmt.Errorf("wrapped: %w", fault)} {
		if err := step.Write(out, value{"sha256:00"}, err); err != nil {
			t.Fatal(err)
		}
		is(t, fault.Error(), step.Decode([]byte(read(out)), nil).Error())
	}
	// No value is written as one that is null, which passes where none is expected.
	if err := step.Write(out, nil, nil); err != nil {
		t.Fatal(err)
	}
	is(t, "{\n  \"value\": null\n}\n", read(out))
	names, err := os.ReadDir(out)
	if err != nil {
		t.Fatal(err)
	}
	is(t, 1, len(names))
}

// TestWriteOfWhatIsNoDecision: another error, a value that can't be encoded, and a
// folder that can't be written leave no result and come back.
func TestWriteOfWhatIsNoDecision(t *testing.T) {
	var none *step.Fault
	unknown := errors.New("disk is gone")
	for name, c := range map[string]struct {
		value any
		err   error
	}{"unknown error": {value{"sha256:00"}, unknown}, "nil fault": {value{"sha256:00"}, none}, "value": {func() {}, nil}} {
		t.Run(name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "out")
			err := step.Write(out, c.value, c.err)
			if err == nil || c.err != nil && err != c.err { //nolint:errorlint // the very error
				t.Fatalf("%v", err)
			}
			if _, err := os.Lstat(out); !errors.Is(err, os.ErrNotExist) {
				t.Fatalf("something is written: %v", err)
			}
		})
	}
	t.Run("file for a folder", func(t *testing.T) {
		out := filepath.Join(t.TempDir(), "out")
		if err := os.WriteFile(out, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		is(t, true, step.Write(out, 1, nil) != nil)
	})
	t.Run("folder for a file", func(t *testing.T) {
		out := t.TempDir()
		if err := os.MkdirAll(filepath.Join(out, step.ResultFile, "x"), 0o700); err != nil {
			t.Fatal(err)
		}
		is(t, true, step.Write(out, 1, nil) != nil)
		names, err := os.ReadDir(out)
		if err != nil {
			t.Fatal(err)
		}
		is(t, 1, len(names))
	})
}

// TestWriteFollowsNoLink: a link in the place of the result is replaced.
func TestWriteFollowsNoLink(t *testing.T) {
	out, victim := t.TempDir(), filepath.Join(t.TempDir(), "victim")
	if err := errors.Join(os.WriteFile(victim, []byte("kept"), 0o600), os.Symlink(victim, filepath.Join(out, step.ResultFile)), step.Write(out, 1, nil)); err != nil {
		t.Fatal(err)
	}
	kept, err := os.ReadFile(victim)
	if err != nil {
		t.Fatal(err)
	}
	is(t, "kept", string(kept))
	info, err := os.Lstat(filepath.Join(out, step.ResultFile))
	if err != nil {
		t.Fatal(err)
	}
	is(t, true, info.Mode().IsRegular())
}

// mainOut is where TestMain's program writes; mainEnd is how its work ends, and
// mainArguments are those of one that has commands.
const mainOut, mainEnd, mainArguments = "STEP_TEST_OUT", "STEP_TEST_END", "STEP_TEST_ARGUMENTS"

func TestMain(m *testing.M) {
	out := os.Getenv(mainOut)
	if out == "" {
		os.Exit(m.Run())
	}
	work := func(ctx context.Context) (any, error) {
		switch os.Getenv(mainEnd) {
		case "pass":
			return value{"sha256:00"}, ctx.Err()
		case "refuse":
			return value{"sha256:00"}, step.Policy("scan", "a", "b", "c")
		case "stop":
			if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
				return nil, err
			}
			<-ctx.Done()
			return value{"sha256:00"}, ctx.Err()
		case "panic":
			panic("lost")
		}
		return value{"sha256:00"}, errors.New("::error::disk is gone\x1b[2J")
	}
	if arguments, ok := os.LookupEnv(mainArguments); ok {
		step.Commands{"work": func(*flag.FlagSet, *string) step.Work { return work }}.Run("program", strings.Fields(arguments))
		panic("Commands.Run returns")
	}
	step.Main(out, work)
	panic("step.Main returns")
}

// TestMainEnds: a decision, also a refusal, exits 0 with a result; anything else
// exits otherwise and without one.
func TestMainEnds(t *testing.T) {
	for end, c := range map[string]struct {
		code   int
		result string
		stderr string
	}{
		"pass":   {0, `{"value":{"digest":"sha256:00"}}`, ""},
		"refuse": {0, `{"fault":{"kind":"policy","stage":"scan","input":"a","reason":"b","mend":"c"}}`, ""},
		"stop":   {1, "", "context canceled\n"},
		"panic":  {2, "", "panic: lost"},
		"fail":   {1, "", "\\::error::disk is gone\\x1b[2J\n"},
	} {
		t.Run(end, func(t *testing.T) {
			out := t.TempDir()
			var stderr strings.Builder
			cmd := exec.Command(os.Args[0])
			cmd.Env, cmd.Stderr = append(os.Environ(), mainOut+"="+out, mainEnd+"="+end), &stderr
			err := cmd.Run()
			is(t, c.code, cmd.ProcessState.ExitCode())
			is(t, c.code == 0, err == nil)
			if !strings.HasPrefix(stderr.String(), c.stderr) || c.stderr == "" && stderr.Len() > 0 {
				t.Fatalf("it printed %q", stderr.String())
			}
			data, err := os.ReadFile(filepath.Join(out, step.ResultFile))
			if c.result == "" {
				is(t, true, errors.Is(err, os.ErrNotExist))
				return
			}
			var written any
			if err := errors.Join(err, json.Unmarshal(data, &written)); err != nil {
				t.Fatal(err)
			}
			compact, err := json.Marshal(written)
			var want any
			if err := errors.Join(err, json.Unmarshal([]byte(c.result), &want)); err != nil {
				t.Fatal(err)
			}
			wanted, _ := json.Marshal(want)
			is(t, string(wanted), string(compact))
		})
	}
}

// TestCommandsRun: who asks for help has it; arguments that are wrong are no result.
func TestCommandsRun(t *testing.T) {
	out := t.TempDir()
	for arguments, c := range map[string]struct {
		code   int
		stderr string
		result bool
	}{
		"work --out " + out: {0, "", true},
		"work -h":           {0, "Usage of program work:\n", false},
		"":                  {2, "usage: program work [flags]\n", false},
		"rest --out " + out: {2, `unknown command "rest"; usage: program work [flags]` + "\n", false},
		"work":              {2, "program work: --out is missing\n", false},
	} {
		t.Run(arguments, func(t *testing.T) {
			var stderr strings.Builder
			cmd := exec.Command(os.Args[0])
			cmd.Env, cmd.Stderr = append(os.Environ(), mainOut+"="+out, mainEnd+"=pass", mainArguments+"="+arguments), &stderr
			_ = cmd.Run()
			is(t, c.code, cmd.ProcessState.ExitCode())
			is(t, true, strings.HasPrefix(stderr.String(), c.stderr) && (c.stderr != "" || stderr.Len() == 0))
			file := filepath.Join(out, step.ResultFile)
			data, err := os.ReadFile(file)
			is(t, c.result, err == nil)
			if c.result {
				var written value
				is(t, nil, errors.Join(step.Decode(data, &written), os.Remove(file)))
				is(t, "sha256:00", written.Digest)
			}
		})
	}
}

func TestANumberKeepsItsDigits(t *testing.T) {
	var value struct{ N any }
	if err := step.Decode([]byte(`{"value":{"N":12345678901234567890.10}}`), &value); err != nil {
		t.Fatal(err)
	}
	if text, err := json.Marshal(value); err != nil || string(text) != `{"N":12345678901234567890.10}` {
		t.Fatalf("became %s, %v", text, err)
	}
}
