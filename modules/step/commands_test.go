package step

import (
	"bytes"
	"context"
	"flag"
	"slices"
	"testing"
)

func TestCommandsParse(t *testing.T) {
	var names List
	commands := Commands{
		"greet": func(flags *flag.FlagSet, out *string) Work {
			flags.Var(&names, "name", "whom; repeatable")
			return func(context.Context) (any, error) { return append([]string{*out}, names...), nil }
		},
		"rest": func(*flag.FlagSet, *string) Work { return nil },
	}
	out, work, err := commands.Parse("doorman", []string{"greet", "--name", "Ada", "--out", "there", "--name", "Bo"})
	if err != nil || out != "there" {
		t.Fatalf("folder %q, %v", out, err)
	}
	value, err := work(t.Context())
	if got, want := value.([]string), []string{"there", "Ada", "Bo"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v; want %q", got, err, want)
	}

	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, "usage: doorman greet|rest [flags]"},
		{[]string{"dance"}, `unknown command "dance"; usage: doorman greet|rest [flags]`},
		{[]string{"rest"}, "doorman rest: --out is missing"},
		{[]string{"rest", "--out", "x", "now"}, `doorman rest takes no argument: "now"`},
		{[]string{"rest", "--name", "Ada"}, "flag provided but not defined: -name"},
		{[]string{"greet", "-h"}, flag.ErrHelp.Error()},
	} {
		if _, _, err := commands.Parse("doorman", c.args); err == nil || err.Error() != c.want {
			t.Errorf("%q: %v; want %s", c.args, err, c.want)
		}
	}
}

func TestSayIsOneHarmlessLine(t *testing.T) {
	var shown bytes.Buffer
	old := Progress
	Progress = &shown
	t.Cleanup(func() { Progress = old })
	Say("built %s", "a\n::error::b")
	if want := "built a ::error::b\n"; shown.String() != want {
		t.Errorf("%q, want %q", shown.String(), want)
	}
}
