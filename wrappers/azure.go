package wrappers

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// AzurePipeline is a pipeline of Azure DevOps with its templates put in. Of Azure's
// YAML it knows what the wrappers need, and refuses the rest.
type AzurePipeline struct {
	// File is its path below the folder that it was read from.
	File string
	// Trigger and PR say which pushes and pull requests start it.
	Trigger, PR AzureTrigger
	// LockBehavior says what becomes of a run that waits for another.
	LockBehavior string
	// Variables of the pipeline are in the environment of each script.
	Variables map[string]string
	// Repositories are those that a job can check out besides its own, by what it calls
	// them.
	Repositories map[string]AzureRepository
	Stages       []AzureStage
	// Templates are the files that were put in, in their order.
	Templates []string
}

// AzureRepository is a repository of the same project, on a branch.
type AzureRepository struct{ Type, Name, Ref string }

// AzureTrigger is a trigger or pr; None for the word none.
type AzureTrigger struct {
	None              bool
	Batch, AutoCancel *bool
	Branches, Paths   []string
}

// AzureStage is a stage, whose jobs run side by side.
type AzureStage struct {
	Name      string
	Condition string
	Jobs      []AzureJob
}

// AzureJob is a job or a deployment job.
type AzureJob struct {
	Name string
	// Environment is a deployment job's, whose approvals and checks come before it.
	Environment string
	Steps       []AzureStep
}

// AzureStep is a step. One of Checkout, Bash, Task and Publish is set.
type AzureStep struct {
	// File and Line are where it is written.
	File string `yaml:"-"`
	Line int    `yaml:"-"`

	Checkout           string            `yaml:"checkout"`
	Clean              bool              `yaml:"clean"`
	FetchDepth         int               `yaml:"fetchDepth"`
	FetchTags          bool              `yaml:"fetchTags"`
	Path               string            `yaml:"path"`
	PersistCredentials bool              `yaml:"persistCredentials"`
	Bash               string            `yaml:"bash"`
	Task               string            `yaml:"task"`
	Inputs             map[string]string `yaml:"inputs"`
	Publish            string            `yaml:"publish"`
	Artifact           string            `yaml:"artifact"`
	DisplayName        string            `yaml:"displayName"`
	Env                map[string]string `yaml:"env"`
	Target             *AzureTarget      `yaml:"target"`
	WorkingDirectory   string            `yaml:"workingDirectory"`
}

// AzureTarget is what the output of a step may tell the agent.
type AzureTarget struct {
	Container         string `yaml:"container"`
	Commands          string `yaml:"commands"`
	SettableVariables string `yaml:"settableVariables"`
}

// AzureOnMain is the one condition that there is: only main is delivered.
const AzureOnMain = "and(succeeded(), eq(variables['Build.SourceBranch'], 'refs/heads/main'))"

// AzurePipelines reads the pipelines of a folder: its *.yml files that have stages. base is
// that folder on the branch of the resource base, whose templates they can have.
func AzurePipelines(dir, base string) ([]AzurePipeline, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.yml"))
	if err != nil {
		return nil, err
	}
	r := &azureReader{dir: dir, base: base, files: map[*yaml.Node]string{}}
	var all []AzurePipeline
	for _, file := range files {
		p, err := r.pipeline(filepath.Base(file))
		if err != nil {
			return nil, err
		}
		if p != nil {
			all = append(all, *p)
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s: has no pipeline", dir)
	}
	return all, nil
}

// azureReader reads files below a folder, and knows which one a step came from: those of
// base end in atBase.
type azureReader struct {
	dir, base string
	files     map[*yaml.Node]string
	// within are the templates that are being put in; all those that have been.
	within, all []string
}

const (
	// atBase is behind a template of the resource base.
	atBase = "@base"
	// azureFolder is where the pipelines lie in a repository.
	azureFolder = "wrappers/azure/"
)

func (r *azureReader) load(file string) (*yaml.Node, error) {
	dir := r.dir
	name, fromBase := strings.CutSuffix(file, atBase)
	if fromBase {
		dir = r.base
	}
	data, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
	if err != nil {
		return nil, err
	}
	var document yaml.Node
	if err := yaml.Unmarshal(data, &document); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if len(document.Content) != 1 || document.Content[0].Kind != yaml.MappingNode {
		return nil, fmt.Errorf("%s: is not one mapping", file)
	}
	return document.Content[0], nil
}

// azureVariable is a variable that the environment has by its own name.
var azureVariable = regexp.MustCompile(`\A[A-Z][A-Z0-9_]*\z`)

func (r *azureReader) pipeline(file string) (*AzurePipeline, error) {
	root, err := r.load(file)
	if err != nil || child(root, "stages") == nil {
		return nil, err
	}
	r.all = nil
	if root, err = r.put(root, file, nil); err != nil {
		return nil, err
	}
	var raw struct {
		Trigger      yaml.Node `yaml:"trigger"`
		PR           yaml.Node `yaml:"pr"`
		LockBehavior string    `yaml:"lockBehavior"`
		Pool         struct {
			Name string `yaml:"name"`
		} `yaml:"pool"`
		Resources struct {
			Repositories []struct {
				Repository string `yaml:"repository"`
				Type       string `yaml:"type"`
				Name       string `yaml:"name"`
				Ref        string `yaml:"ref"`
			} `yaml:"repositories"`
		} `yaml:"resources"`
		Variables []struct {
			Name  string `yaml:"name"`
			Value string `yaml:"value"`
		} `yaml:"variables"`
		Stages []yaml.Node `yaml:"stages"`
	}
	if err := strictly(root, file, &raw); err != nil {
		return nil, err
	}
	p := &AzurePipeline{File: file, LockBehavior: raw.LockBehavior, Variables: map[string]string{}, Repositories: map[string]AzureRepository{}, Templates: r.all}
	for name, trigger := range map[string]*AzureTrigger{"trigger": &p.Trigger, "pr": &p.PR} {
		if *trigger, err = azureTrigger(child(root, name), file+": "+name); err != nil {
			return nil, err
		}
	}
	for _, of := range raw.Resources.Repositories {
		p.Repositories[of.Repository] = AzureRepository{Type: of.Type, Name: of.Name, Ref: of.Ref}
	}
	for _, v := range raw.Variables {
		if !azureVariable.MatchString(v.Name) {
			return nil, fmt.Errorf("%s: variable %q is not as the environment will have it", file, v.Name)
		}
		p.Variables[v.Name] = v.Value
	}
	for _, node := range child(root, "stages").Content {
		stage, err := r.stage(node, file)
		if err != nil {
			return nil, err
		}
		p.Stages = append(p.Stages, *stage)
	}
	return p, nil
}

func azureTrigger(node *yaml.Node, place string) (t AzureTrigger, err error) {
	// Left out, Azure starts a pipeline for every branch.
	if node == nil {
		return t, fmt.Errorf("%s: is missing", place)
	}
	if node.Value == "none" {
		return AzureTrigger{None: true}, nil
	}
	type filter struct {
		Include []string `yaml:"include"`
	}
	var raw struct {
		Batch      *bool  `yaml:"batch"`
		AutoCancel *bool  `yaml:"autoCancel"`
		Branches   filter `yaml:"branches"`
		Paths      filter `yaml:"paths"`
	}
	err = strictly(node, place, &raw)
	return AzureTrigger{Batch: raw.Batch, AutoCancel: raw.AutoCancel, Branches: raw.Branches.Include, Paths: raw.Paths.Include}, err
}

func (r *azureReader) stage(node *yaml.Node, file string) (*AzureStage, error) {
	var raw struct {
		Stage     string      `yaml:"stage"`
		Condition string      `yaml:"condition"`
		Jobs      []yaml.Node `yaml:"jobs"`
	}
	if err := strictly(node, file, &raw); err != nil {
		return nil, err
	}
	stage := &AzureStage{Name: raw.Stage, Condition: raw.Condition}
	for _, node := range items(node, "jobs") {
		job, err := r.job(node)
		if err != nil {
			return nil, err
		}
		stage.Jobs = append(stage.Jobs, *job)
	}
	return stage, nil
}

func (r *azureReader) job(node *yaml.Node) (*AzureJob, error) {
	file := r.files[node]
	var raw struct {
		Job         string      `yaml:"job"`
		Deployment  string      `yaml:"deployment"`
		DisplayName string      `yaml:"displayName"`
		Environment string      `yaml:"environment"`
		Steps       []yaml.Node `yaml:"steps"`
		Strategy    struct {
			RunOnce struct {
				Deploy struct {
					Steps []yaml.Node `yaml:"steps"`
				} `yaml:"deploy"`
			} `yaml:"runOnce"`
		} `yaml:"strategy"`
	}
	if err := strictly(node, file, &raw); err != nil {
		return nil, err
	}
	job := &AzureJob{Name: raw.Job + raw.Deployment, Environment: raw.Environment}
	steps := items(node, "steps")
	if raw.Deployment != "" {
		steps = items(node, "strategy", "runOnce", "deploy", "steps")
	}
	if (raw.Job == "") == (raw.Deployment == "") || (raw.Environment == "") != (raw.Deployment == "") || len(steps) != len(raw.Steps)+len(raw.Strategy.RunOnce.Deploy.Steps) {
		return nil, fmt.Errorf("%s:%d: is neither a job with steps nor a deployment with an environment and a strategy", file, node.Line)
	}
	for _, node := range steps {
		step := AzureStep{}
		if err := strictly(node, r.files[node], &step); err != nil {
			return nil, err
		}
		step.File, step.Line = r.files[node], node.Line
		kinds := slices.DeleteFunc([]string{step.Checkout, step.Bash, step.Task, step.Publish}, func(s string) bool { return s == "" })
		if len(kinds) != 1 {
			return nil, fmt.Errorf("%s:%d: is not one step", step.File, step.Line)
		}
		job.Steps = append(job.Steps, step)
	}
	return job, nil
}
