// Package azureagent runs pipelines of Azure DevOps as its agent would, as far as the
// wrappers go, for tests: variables and macros, the environment of each step, service
// connections, approvals, artifacts, and the logging commands in what a step prints.
package azureagent

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"slipway/wrappers"
)

// Connection is a service connection of workload identity federation.
type Connection struct{ ID, ClientID, TenantID string }

// Agent is a machine with its agent, and the project that it works for.
type Agent struct {
	// Dir is a folder of its own, for work and artifacts.
	Dir string
	// Repository is the clone whose Commit, the head of Branch, a job checks out. The
	// project has it by its Name.
	Repository, Name, Commit, Branch string
	// Environ is the environment of the machine.
	Environ []string
	// AccessToken is System.AccessToken, and OIDCRequestURI where it asks for tokens.
	AccessToken, OIDCRequestURI string
	// Connections are those that the pipeline may use, by name.
	Connections map[string]Connection
	// Approved are the environments that somebody lets deployments into.
	Approved []string

	// Artifacts are files that jobs have published, by name.
	Artifacts map[string]string
	// Output is all that steps have printed.
	Output bytes.Buffer
	// Commands are the logging commands in it.
	Commands []Command
	// Done are the jobs that have succeeded, as stage/job.
	Done []string
}

// Command is a logging command, such as ##vso[task.setvariable variable=a]b.
type Command struct {
	Name, Properties, Data string
	// Obeyed is false for one that the step's target forbids.
	Obeyed bool
}

// Waiting is the error of a run that nobody has approved.
type Waiting struct{ Environment string }

func (w Waiting) Error() string { return "waits for the approval of " + w.Environment }

// Run runs a pipeline, or only some of its stages, as Azure lets one choose them: one
// after the other, until one fails or waits.
func (a *Agent) Run(ctx context.Context, p wrappers.AzurePipeline, stages ...string) error {
	for _, stage := range p.Stages {
		if len(stages) > 0 && !slices.Contains(stages, stage.Name) {
			continue
		}
		switch stage.Condition {
		case "":
		case wrappers.AzureOnMain:
			if a.Branch != "refs/heads/main" {
				continue
			}
		default:
			return fmt.Errorf("stage %s has a condition that is not known: %s", stage.Name, stage.Condition)
		}
		for _, job := range stage.Jobs {
			if job.Environment != "" && !slices.Contains(a.Approved, job.Environment) {
				return Waiting{job.Environment}
			}
		}
		for _, job := range stage.Jobs {
			if err := a.job(ctx, p, job); err != nil {
				return fmt.Errorf("%s/%s: %w", stage.Name, job.Name, err)
			}
			a.Done = append(a.Done, stage.Name+"/"+job.Name)
		}
	}
	return nil
}

// job is one that runs: its variables by their names in small letters.
type job struct {
	*Agent
	repositories map[string]wrappers.AzureRepository
	variables    map[string]string
	secrets      map[string]string
	path         []string
}

func (a *Agent) job(ctx context.Context, p wrappers.AzurePipeline, work wrappers.AzureJob) error {
	dir, err := os.MkdirTemp(a.Dir, "job-")
	if err != nil {
		return err
	}
	j := &job{Agent: a, repositories: p.Repositories, variables: map[string]string{}, secrets: map[string]string{"system.accesstoken": a.AccessToken}}
	for name, value := range map[string]string{
		"Agent.BuildDirectory": dir, "Agent.TempDirectory": filepath.Join(dir, "temp"), "Build.ArtifactStagingDirectory": filepath.Join(dir, "a"), "Build.SourcesDirectory": filepath.Join(dir, "s"),
		"Build.SourceVersion": a.Commit, "Build.SourceBranch": a.Branch, "Build.BuildId": "17", "TF_BUILD": "True",
		"System.CollectionUri": "https://dev.azure.com/acme/", "System.TeamProjectId": "00000000-0000-4000-8000-0000000000ad", "System.OidcRequestUri": a.OIDCRequestURI,
	} {
		j.variables[strings.ToLower(name)] = value
		if strings.HasSuffix(name, "Directory") {
			if err := os.MkdirAll(value, 0o700); err != nil {
				return err
			}
		}
	}
	for name, value := range p.Variables {
		j.variables[strings.ToLower(name)] = value
	}
	for _, step := range work.Steps {
		if err := j.step(ctx, step); err != nil {
			return fmt.Errorf("%s:%d: %w", step.File, step.Line, err)
		}
	}
	return nil
}

func (j *job) step(ctx context.Context, step wrappers.AzureStep) error {
	switch {
	case step.Checkout != "":
		return j.checkout(ctx, step)
	case step.Bash != "":
		return j.script(ctx, step, step.Bash, nil)
	case step.Task == "AzureCLI@2":
		connection, ok := j.Connections[step.Inputs["azureSubscription"]]
		if !ok || step.Inputs["scriptType"] != "bash" || step.Inputs["scriptLocation"] != "inlineScript" {
			return fmt.Errorf("the pipeline may not use service connection %q, or its script is none for bash", step.Inputs["azureSubscription"])
		}
		return j.script(ctx, step, j.expand(step.Inputs["inlineScript"]), map[string]string{
			"AZURESUBSCRIPTION_SERVICE_CONNECTION_ID": connection.ID, "AZURESUBSCRIPTION_CLIENT_ID": connection.ClientID, "AZURESUBSCRIPTION_TENANT_ID": connection.TenantID,
		})
	case step.Task == "ExtractFiles@1":
		to := j.expand(step.Inputs["destinationFolder"])
		if err := os.MkdirAll(to, 0o700); err != nil {
			return err
		}
		return j.run(ctx, step, nil, "tar", "-xzf", j.expand(step.Inputs["archiveFilePatterns"]), "-C", to)
	case step.Publish != "":
		data, err := os.ReadFile(j.expand(step.Publish))
		if err != nil {
			return err
		}
		if j.Artifacts == nil {
			j.Artifacts = map[string]string{}
		}
		j.Artifacts[step.Artifact] = filepath.Join(j.Dir, "artifact-"+step.Artifact)
		return os.WriteFile(j.Artifacts[step.Artifact], data, 0o600)
	}
	return fmt.Errorf("the agent has no task %q", step.Task)
}

// checkout fetches the commit of the run, or the head of another branch: into the folder
// of the step, or the sources'.
func (j *job) checkout(ctx context.Context, step wrappers.AzureStep) error {
	to, commit := j.variables["build.sourcesdirectory"], j.Commit
	if step.Path != "" {
		to = filepath.Join(j.variables["agent.builddirectory"], step.Path)
	}
	if step.Checkout != "self" {
		other, ok := j.repositories[step.Checkout]
		if !ok || other.Type != "git" || other.Name != j.Name {
			return fmt.Errorf("the project has no repository for %q: %+v", step.Checkout, other)
		}
		commit = other.Ref
	}
	for _, args := range [][]string{
		{"init", "-q", to}, {"-C", to, "remote", "add", "origin", "file://" + j.Repository},
		{"-C", to, "fetch", "-q", "--no-tags", fmt.Sprintf("--depth=%d", step.FetchDepth), "origin", commit}, {"-C", to, "checkout", "-q", "--detach", "FETCH_HEAD"},
	} {
		if err := j.run(ctx, step, nil, "git", args...); err != nil {
			return err
		}
	}
	return nil
}

// script runs bash as Azure's tasks do: with a file, in the sources' folder or the step's.
func (j *job) script(ctx context.Context, step wrappers.AzureStep, text string, env map[string]string) error {
	file, err := os.CreateTemp(j.variables["agent.tempdirectory"], "script-*.sh")
	if err != nil {
		return err
	}
	defer file.Close()
	if _, err := file.WriteString(text); err != nil {
		return err
	}
	return j.run(ctx, step, env, "bash", "--noprofile", "--norc", file.Name())
}

// run runs a program with a step's environment, and hears what it prints.
func (j *job) run(ctx context.Context, step wrappers.AzureStep, env map[string]string, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = j.variables["build.sourcesdirectory"]
	if step.WorkingDirectory != "" {
		cmd.Dir = j.expand(step.WorkingDirectory)
	}
	all := map[string]string{}
	for _, line := range j.Environ {
		name, value, _ := strings.Cut(line, "=")
		all[name] = value
	}
	for name, value := range j.variables {
		all[strings.ToUpper(strings.ReplaceAll(name, ".", "_"))] = value
	}
	for name, value := range step.Env {
		all[name] = j.expand(value)
	}
	maps.Copy(all, env)
	all["PATH"] = strings.Join(append(slices.Clone(j.path), all["PATH"]), string(filepath.ListSeparator))
	for name, value := range all {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	out, err := cmd.CombinedOutput()
	j.Output.Write(out)
	for _, line := range strings.Split(string(out), "\n") {
		j.hear(step.Target, line)
	}
	if err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return nil
}

var macro = regexp.MustCompile(`\$\(([^()]+)\)`)

// expand replaces macros; one that nothing sets stays as it is.
func (j *job) expand(text string) string {
	return macro.ReplaceAllStringFunc(text, func(m string) string {
		name := strings.ToLower(m[2 : len(m)-1])
		for _, values := range []map[string]string{j.variables, j.secrets} {
			if value, ok := values[name]; ok {
				return value
			}
		}
		return m
	})
}

var logging = regexp.MustCompile(`(?i)##vso\[([a-z]+\.[a-z]+) ?([^\]]*)\](.*)`)

// restricted are the commands that a step with restricted commands may give.
var restricted = []string{"task.logdetail", "task.logissue", "task.complete", "task.setprogress", "task.setsecret", "task.setvariable", "task.debug", "task.settaskvariable", "task.prependpath"}

// hear obeys the logging command of a line, if the step may give it.
func (j *job) hear(target *wrappers.AzureTarget, line string) {
	m := logging.FindStringSubmatch(line)
	if m == nil {
		return
	}
	c := Command{Name: strings.ToLower(m[1]), Properties: m[2], Data: m[3], Obeyed: true}
	if target != nil && target.Commands == "restricted" {
		c.Obeyed = slices.Contains(restricted, c.Name)
	}
	if target != nil && target.SettableVariables == "none" && c.Name == "task.setvariable" {
		c.Obeyed = false
	}
	j.Commands = append(j.Commands, c)
	if !c.Obeyed {
		return
	}
	switch c.Name {
	case "task.prependpath":
		j.path = append([]string{c.Data}, j.path...)
	case "task.setvariable":
		for _, property := range strings.Split(c.Properties, ";") {
			if name, ok := strings.CutPrefix(strings.TrimSpace(property), "variable="); ok {
				j.variables[strings.ToLower(name)] = c.Data
			}
		}
	}
}
