package wrappers

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/step"
)

// The folders that a pull request's job checks out, side by side: the code that is
// judged, and the branch that it wants to enter, whose pipeline and rules judge it.
const (
	changeFolder = "change"
	baseFolder   = "base"
)

// infraCall says whether a call is about infrastructure, whose code comes with the rules
// that judge it.
func (r *Repository) infraCall(argv []string) bool {
	functions, err := r.functions(argv)
	return err == nil && slices.Contains(functions, "infra")
}

// judged refuses a call of a pull request that takes the pipeline or its rules from
// anything but the base, or an app's code from anything but the change.
func (r *Repository) judged(argv []string) error {
	call := strings.Join(argv, " ")
	refuse := func(reason string) error {
		return step.Policy(stage, call, reason, "write dagger call -m "+base+" … with-app --name APP --checkout ../"+changeFolder+" app --name APP …")
	}
	folder, rest, err := command(argv)
	if err != nil {
		return err
	}
	if folder != base {
		return refuse("takes the pipeline and its rules from " + folder)
	}
	m, err := r.module(folder)
	if err != nil {
		return err
	}
	functions, err := m.constructor.parse(call, "dagger call", rest)
	if err != nil {
		return err
	}
	for _, word := range rest[:len(rest)-len(functions)] {
		if flag, _, _ := strings.Cut(word, "="); flag == "--source" || flag == "--repository" {
			return refuse("takes its rules from what " + flag + " says")
		}
	}
	for at := range functions {
		if of := functions[at:]; len(of) >= 8 && slices.Equal(of[:8], []string{"with-app", "--name", of[2], "--checkout", "../" + changeFolder, "app", "--name", of[2]}) {
			return nil
		}
	}
	return refuse("is not about the change's app")
}

func TestAPullRequestIsJudgedByItsBase(t *testing.T) {
	r := open(t)
	const form = "dagger call -m ../base with-app --name hello --checkout ../change app --name hello build scan digest"
	for _, call := range []string{
		form, "dagger -m ../base call --key file:x with-app --name a --checkout ../change app --name a test",
		"dagger call -m ../base with-registry --repository x with-app --name a --checkout ../change app --name a test",
	} {
		require.NoError(t, r.Check(strings.Fields(call)), call)
		assert.NoError(t, r.judged(strings.Fields(call)), call)
	}
	const app = "is not about the change's app"
	for name, c := range map[string]struct{ old, text, want string }{
		"by its own rules":                {"-m ../base ", "", "takes the pipeline and its rules from ."},
		"by the change's":                 {"../base", "../change", "takes the pipeline and its rules from ../change"},
		"by those of where it is called":  {"../base", ".", "takes the pipeline and its rules from ."},
		"by the last of two modules":      {"-m ../base", "-m ../base -m ../change", "takes the pipeline and its rules from ../change"},
		"by another source":               {"../base", "../base --source ../change", "takes its rules from what --source says"},
		"by another source, with a sign":  {"../base", "../base --key file:x --source=../change", "takes its rules from what --source says"},
		"by the commit of another":        {"../base", "../base --repository ../change", "takes its rules from what --repository says"},
		"an app of the base":              {"with-app --name hello --checkout ../change ", "", app},
		"the base's code":                 {"--checkout ../change", "--checkout ../base", app},
		"another app's code":              {"with-app --name hello", "with-app --name other", app},
		"code that is replaced again":     {" app --name", " with-app --name hello --checkout . app --name", app},
		"infrastructure of an app's name": {"app --name hello build scan digest", "infra --env hello plan check sha-256", app},
		"a flag that there is not":        {"../base", "../base --sauce x", "has no flag --sauce"},
	} {
		t.Run(name, func(t *testing.T) {
			require.Contains(t, form, c.old)
			err := r.judged(strings.Fields(strings.ReplaceAll(form, c.old, c.text)))
			assert.ErrorContains(t, err, c.want)
			assert.ErrorContains(t, err, "mend: ")
		})
	}
	assert.True(t, r.infraCall(strings.Fields("dagger call infra --env dev plan check sha-256")))
	assert.False(t, r.infraCall(strings.Fields("dagger call app --name infra test")))
	assert.False(t, r.infraCall(strings.Fields("dagger call nothing")), "what is no call is judged, and refused")
}
