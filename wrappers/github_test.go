package wrappers

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"slipway/step"
)

// The types name what a workflow here may have. What they don't name is refused:
// conditions, matrices, services, containers, shells of a step.
type workflow struct {
	Name string `yaml:"name"`
	On   struct {
		Push        *branches `yaml:"push"`
		PullRequest *branches `yaml:"pull_request"`
	} `yaml:"on"`
	Permissions *map[string]string `yaml:"permissions"`
	Defaults    struct {
		Run struct {
			Shell string `yaml:"shell"`
		} `yaml:"run"`
	} `yaml:"defaults"`
	Jobs map[string]job `yaml:"jobs"`
}

type branches struct {
	Branches []string `yaml:"branches"`
}

type job struct {
	Name        string             `yaml:"name"`
	RunsOn      string             `yaml:"runs-on"`
	Needs       string             `yaml:"needs"`
	Environment string             `yaml:"environment"`
	Permissions *map[string]string `yaml:"permissions"`
	Concurrency struct {
		Group  string `yaml:"group"`
		Cancel *bool  `yaml:"cancel-in-progress"`
	} `yaml:"concurrency"`
	Env   map[string]string `yaml:"env"`
	Steps []runStep         `yaml:"steps"`
}

type runStep struct {
	Name string            `yaml:"name"`
	Uses string            `yaml:"uses"`
	With map[string]string `yaml:"with"`
	Run  string            `yaml:"run"`
	// Dir is where Run runs; empty is the workspace.
	Dir string `yaml:"working-directory"`
}

// Shell is the one of every step: -f takes no word for a pattern, -u refuses a
// variable that is missing.
const Shell = "bash -efu {0}"

var (
	pinned     = regexp.MustCompile(`\A[\w.-]+/[\w./-]+@[0-9a-f]{40}\z`)
	local      = regexp.MustCompile(`\A\./\.github/actions/[a-z0-9-]+\z`)
	expression = regexp.MustCompile(`\$\{\{.*?\}\}`)
	variable   = regexp.MustCompile(`\A\$\{\{ vars\.([A-Z][A-Z0-9_]*) \}\}\z`)
)

const (
	githubToken = "${{ github.token }}"
	githubRef   = "${{ github.ref }}"
)

// runner are the variables that GitHub's runner sets, for calls to name. The last two
// are only there in a job that may write id-token.
var runner = []string{"GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID", "ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"}

// effects are functions that change something outside: nothing for a pull request.
var effects = []string{"apply", "deliver", "promote", "publish", "publish-database", "release", "rollback", "sign", "unlock"}

// Workflow checks a workflow of GitHub Actions. settings are the configuration
// variables, as an adopter would set them: its calls are checked with their values.
func (r *Repository) Workflow(file string, data []byte, settings map[string]string) error {
	var w workflow
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	decoder.KnownFields(true)
	if err := decoder.Decode(&w); err != nil {
		return step.Input(stage, file, err.Error(), "leave it to the pipeline: a workflow only calls it")
	}
	if err := decoder.Decode(&workflow{}); !errors.Is(err, io.EOF) {
		return step.Input(stage, file, "is more than one document", "write one")
	}
	c := &checker{Repository: r, file: file, settings: settings}
	c.workflow(&w)
	return errors.Join(c.faults...)
}

// checker collects what is wrong with a file.
type checker struct {
	*Repository
	file     string
	settings map[string]string
	faults   []error
}

// wrong is a fault at a place in the file, where it is one.
func (c *checker) wrong(is bool, where, reason, mend string) {
	if is {
		c.faults = append(c.faults, step.Policy(stage, c.file+": "+where, reason, mend))
	}
}

func (c *checker) workflow(w *workflow) {
	c.wrong(w.Permissions == nil || len(*w.Permissions) > 0, "permissions", "are not none", "write permissions: {} here, and each job's in the job")
	c.wrong(w.Defaults.Run.Shell != Shell, "defaults.run.shell", fmt.Sprintf("is %q", w.Defaults.Run.Shell), "write "+Shell)
	c.wrong(w.On.Push == nil && w.On.PullRequest == nil, "on", "names no event", "name push or pull_request")
	c.wrong(w.On.Push != nil && w.On.PullRequest != nil, "on", "names two events", "write a workflow for each: a pull request's has no right to change anything")
	for _, b := range []*branches{w.On.Push, w.On.PullRequest} {
		c.wrong(b != nil && !slices.Equal(b.Branches, []string{"main"}), "on", "is not about the main branch alone", "write branches: [main]")
	}
	for _, name := range slices.Sorted(maps.Keys(w.Jobs)) {
		c.job("job "+name, w.Jobs[name], w.On.PullRequest != nil)
	}
}

func (c *checker) job(where string, j job, pullRequest bool) {
	permissions := map[string]string{}
	if j.Permissions != nil {
		permissions = *j.Permissions
	}
	c.wrong(j.Permissions == nil, where, "states no permissions", "state them: contents: read, and id-token: write where it asks for tokens")
	for _, of := range slices.Sorted(maps.Keys(permissions)) {
		right := of + ": " + permissions[of]
		known := slices.Contains([]string{"contents: read", "contents: write", "id-token: write"}, right)
		c.wrong(!known, where, "may "+right, "take it out")
		c.wrong(right == "contents: write" && j.Environment == "", where, "may write the repository without an environment that protects it", "write contents: read, or name the environment")
	}
	c.wrong(!pullRequest && j.Environment == "", where, "has no environment", "name the one that it delivers to: its protection rules are GitHub's")
	c.wrong(pullRequest && j.Environment != "", where, "is a pull request's, and has an environment", "take it out")
	c.wrong(j.Concurrency.Group == "", where, "has no concurrency group", "name one: two runs at once would wait for each other's lock")
	c.wrong(j.Concurrency.Cancel == nil || *j.Concurrency.Cancel, where, "may be cancelled in the middle", "write cancel-in-progress: false: a killed run leaves its lock")
	c.expressions(where+" concurrency", strings.ReplaceAll(j.Concurrency.Group, githubRef, ""))
	for _, text := range []string{j.Name, j.RunsOn, j.Needs, j.Environment} {
		c.expressions(where, text)
	}
	for _, name := range slices.Sorted(maps.Keys(j.Env)) {
		if value := j.Env[name]; value != githubToken {
			c.value(where+" env "+name, value)
		}
	}
	judged := pullRequest && slices.ContainsFunc(j.Steps, func(s runStep) bool {
		argv, err := c.argv(s.Run, j, true)
		return s.Run != "" && (err != nil || !c.infraCall(argv))
	})
	c.checkouts(where, j.Steps, judged)
	asks := false
	for n, s := range j.Steps {
		at := fmt.Sprintf("%s, step %d", where, n+1)
		c.expressions(at, s.Name)
		c.wrong((s.Uses == "") == (s.Run == ""), at, "is not either an action or a call", "write uses or run")
		if s.Run != "" {
			argv := c.call(at, s.Run, j, permissions["id-token"] == "write")
			c.place(at, s.Dir, argv, judged)
			asks = asks || slices.Contains(argv, "with-azure")
			for _, function := range argv {
				c.wrong(pullRequest && slices.Contains(effects, function), at, "is a pull request's, and calls "+function, "call it on a push to main")
			}
			continue
		}
		_, ours := strings.CutPrefix(s.Uses, "./")
		if action, ok := strings.CutPrefix(s.Uses, "./"+baseFolder+"/"); ok || judged && ours {
			c.wrong(ok != judged, at, s.Uses+" is the action of what is judged, or of no base", "take a pull request's from ./"+baseFolder+", where main is checked out")
			s.Uses = "./" + action
		}
		c.wrong(!pinned.MatchString(s.Uses) && !local.MatchString(s.Uses), at, s.Uses+" is not pinned", "write the action's whole commit behind the @, and its version as a comment")
		c.wrong(strings.HasPrefix(s.Uses, "actions/checkout@") && s.With["persist-credentials"] != "false", at, "leaves GitHub's token in the checkout", "write persist-credentials: false")
		for _, name := range slices.Sorted(maps.Keys(s.With)) {
			c.value(at+" with "+name, s.With[name])
		}
	}
	c.wrong(permissions["id-token"] == "write" && !asks, where, "may ask for tokens, and does not", "take id-token: write out")
}

// checkouts checks which commits a job has, and where: its own in the workspace, or, to
// be judged, its own and main side by side, so that neither is a part of the other.
func (c *checker) checkouts(where string, steps []runStep, judged bool) {
	want := []string{" at "}
	if judged {
		want = []string{" at " + changeFolder, "main at " + baseFolder}
	}
	var got []string
	for _, s := range steps {
		if !strings.HasPrefix(s.Uses, "actions/checkout@") {
			continue
		}
		got = append(got, s.With["ref"]+" at "+s.With["path"])
		for name := range s.With {
			c.wrong(!slices.Contains([]string{"path", "ref", "persist-credentials"}, name), where, "checks out with "+name, "take it out")
		}
	}
	slices.Sort(got)
	c.wrong(!slices.Equal(got, want), where, fmt.Sprintf("checks out %q", got), fmt.Sprintf("check out %q: an app of a pull request, and beside it main, which judges it", want))
}

// place checks whose pipeline and rules a call takes, and where it runs: the CLI takes
// arguments from a file .env there.
func (c *checker) place(at, dir string, argv []string, judged bool) {
	if !judged {
		folder, _, err := command(argv)
		c.wrong(dir != "" || err == nil && folder != ".", at, "is about another folder than the workspace", "take -m and working-directory out")
		return
	}
	c.wrong(dir != baseFolder, at, fmt.Sprintf("runs in %q", dir), "write working-directory: "+baseFolder)
	if argv == nil {
		return // call has said why
	}
	if err := c.judged(argv); err != nil {
		c.faults = append(c.faults, fmt.Errorf("%s: %s: %w", c.file, at, err))
	}
}

// argv is the call of a step's script, with the values of its variables.
func (c *checker) argv(script string, j job, tokens bool) ([]string, error) {
	return Call(script, func(name string) (string, bool) {
		if value, ok := j.Env[name]; ok {
			if setting := variable.FindStringSubmatch(value); setting != nil {
				return c.settings[setting[1]], true
			}
			return value, true
		}
		known := slices.Contains(runner, name) && (tokens || !strings.HasPrefix(name, "ACTIONS_"))
		return "$" + name, known
	})
}

// call checks a step's script, and returns the call that it is.
func (c *checker) call(at, script string, j job, tokens bool) []string {
	c.wrong(expression.MatchString(script), at, "holds an expression, which becomes code of the shell", "set a variable in env, and name that")
	argv, err := c.argv(script, j, tokens)
	c.wrong(slices.Contains(argv, help), at, "asks for help", "take "+help+" out: nothing is done")
	if err == nil {
		err = c.Check(argv)
	}
	if err != nil {
		c.faults = append(c.faults, fmt.Errorf("%s: %s: %w", c.file, at, err))
		return nil
	}
	for n, word := range argv {
		flag, value, ok := strings.Cut(word, "=")
		if flag != "--env" && flag != "--to" || j.Environment == "" {
			continue
		}
		if !ok {
			value = argv[n+1] // Check has seen that there is one.
		}
		c.wrong(value != j.Environment, at, fmt.Sprintf("is about %s, and the job's environment is %s", value, j.Environment), "name the same one: each has its own protection")
	}
	return argv
}

// value is one that a workflow hands on: text, or one configuration variable.
func (c *checker) value(at, value string) {
	if !variable.MatchString(value) {
		c.expressions(at, value)
	}
}

// expressions refuses every one.
func (c *checker) expressions(at, text string) {
	for _, found := range expression.FindAllString(text, -1) {
		mend := "set a configuration variable, and write ${{ vars.NAME }} alone"
		if strings.Contains(found, "secrets") {
			mend = "take it out: identities need no secrets"
		}
		c.wrong(true, at, "holds "+found, mend)
	}
}
