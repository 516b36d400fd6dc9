package wrappers

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

var pipelineSchema = flag.String("pipeline-schema", "", "service-schema.json of Azure Pipelines' extension for VS Code, which the pipelines are held to, too")

// The variables that an agent has, of those that the wrappers use.
var agentVariables = []string{
	"AGENT_TEMPDIRECTORY", "BUILD_ARTIFACTSTAGINGDIRECTORY", "BUILD_BUILDID", "SYSTEM_COLLECTIONURI", "SYSTEM_OIDCREQUESTURI", "SYSTEM_TEAMPROJECTID",
}

// Those that AzureCLI@2 adds for a service connection of workload identity federation.
var connectionVariables = []string{"AZURESUBSCRIPTION_CLIENT_ID", "AZURESUBSCRIPTION_TENANT_ID", "AZURESUBSCRIPTION_SERVICE_CONNECTION_ID"}

// What the pipelines' variables look like.
var azureValues = map[string]*regexp.Regexp{
	"AZURE_SUBSCRIPTION_ID": regexp.MustCompile(`\A[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\z`),
	"AZURE_CLOUD":           regexp.MustCompile(`\A(with-azure-cloud .*)?\z`),
	"SLIPWAY_WITH":          regexp.MustCompile(`\A((--|with-).*)?\z`),
	"DAGGER_ARCHIVE":        regexp.MustCompile(`\Ahttps://[^@?]+\.tar\.gz\z`),
	"DAGGER_SHA256":         regexp.MustCompile(`\A[0-9a-f]{64}\z`),
}

const jobToken = "$(System.AccessToken)"

var (
	azureName   = regexp.MustCompile(`\$(\w+)`)
	azureMacro  = regexp.MustCompile(`\$\([^)]*\)`)
	azureEffect = regexp.MustCompile(`\A(deliver|apply|release|publish|sign|promote|rollback|unlock)\z`)
)

// azureBase is the repository, on the branch that a pull request wants to enter.
var azureBase = map[string]AzureRepository{baseFolder: {Type: "git", Name: "platform", Ref: "refs/heads/main"}}

// azureProblems is what is wrong with the pipelines of a folder.
func azureProblems(t *testing.T, dir string) (problems []string) {
	t.Helper()
	pipelines, err := AzurePipelines(dir, dir)
	if err != nil {
		return []string{err.Error()}
	}
	for _, p := range pipelines {
		add := func(format string, args ...any) {
			problems = append(problems, p.File+": "+fmt.Sprintf(format, args...))
		}
		for name, value := range p.Variables {
			if known := azureValues[name]; known == nil || !known.MatchString(value) {
				add("variable %s is not what it is for: %q", name, value)
			}
		}
		want := map[string]AzureRepository{}
		if !p.PR.None {
			want = azureBase
			for _, file := range p.Templates {
				if !strings.HasSuffix(file, atBase) {
					add("takes %s from the pull request", file)
				}
			}
		}
		if !maps.Equal(p.Repositories, want) {
			add("has the repositories %v", p.Repositories)
		}
		effects := false
		for _, stage := range p.Stages {
			for _, job := range stage.Jobs {
				changes, found := azureJobProblems(t, p, job)
				for _, problem := range found {
					add("%s: %s", job.Name, problem)
				}
				if changes != (job.Environment != "") {
					add("%s changes something: %v, and is a deployment: %v", job.Name, changes, job.Environment != "")
				}
				if want := map[bool]string{true: AzureOnMain}[changes]; stage.Condition != want {
					add("stage %s has the condition %q", stage.Name, stage.Condition)
				}
				effects = effects || changes
			}
		}
		main := func(t AzureTrigger) bool { return !t.None && slices.Equal(t.Branches, []string{"main"}) }
		is := func(b *bool, value bool) bool { return b != nil && *b == value }
		switch {
		case effects && (!main(p.Trigger) || !is(p.Trigger.Batch, false) || !p.PR.None):
			add("is started by something else than each push to main")
		case effects && p.LockBehavior != "sequential":
			add("cancels whoever waits: lockBehavior %q", p.LockBehavior)
		case !effects && (!p.Trigger.None || !main(p.PR) || !is(p.PR.AutoCancel, false)):
			add("is started by something else than each pull request to main")
		}
	}
	return problems
}

// azureJobProblems says whether a job changes anything, and what is wrong with it.
func azureJobProblems(t *testing.T, p AzurePipeline, job AzureJob) (changes bool, problems []string) {
	t.Helper()
	judged := !p.PR.None && slices.ContainsFunc(job.Steps, func(step AzureStep) bool {
		argv, err := step.Argv(p.Variables)
		return err == nil && len(argv) > 0 && argv[0] == "dagger" && !open(t).infraCall(argv)
	})
	checkouts := map[string]string{"self": ""}
	if judged {
		checkouts = map[string]string{"self": "s/" + changeFolder, "base": "s/" + baseFolder}
	}
	var kinds []string
	for _, step := range job.Steps {
		add := func(format string, args ...any) {
			problems = append(problems, fmt.Sprintf("%s:%d: ", step.File, step.Line)+fmt.Sprintf(format, args...))
		}
		argv, err := step.Argv(p.Variables)
		if err != nil {
			problems = append(problems, err.Error())
			continue
		}
		kind := step.Checkout + step.Task
		if argv != nil {
			kind = argv[0]
		} else if step.Publish != "" {
			kind = "publish"
		}
		kinds = append(kinds, kind)
		if step.Task != "" && !slices.Contains([]string{"AzureCLI@2", "ExtractFiles@1"}, step.Task) {
			add("task %s is not known, or has no major version", step.Task)
		}
		if step.Checkout != "" && (step.PersistCredentials || !step.Clean) {
			add("leaves credentials or files behind")
		}
		if path, ok := checkouts[step.Checkout]; step.Checkout != "" && (!ok || path != step.Path) {
			add("checks out %s at %q", step.Checkout, step.Path)
		}
		// The CLI takes arguments from a file .env of the folder that it runs in.
		if want := map[bool]string{true: "$(Agent.BuildDirectory)/s/" + baseFolder}[judged && kind == "dagger"]; step.WorkingDirectory != want {
			add("runs in %q", step.WorkingDirectory)
		}
		known := slices.AppendSeq(slices.Clone(agentVariables), maps.Keys(step.Env))
		known = slices.AppendSeq(known, maps.Keys(p.Variables))
		federated := step.Task == "AzureCLI@2"
		if federated {
			known = append(known, connectionVariables...)
		}
		for _, name := range azureName.FindAllStringSubmatch(strings.ReplaceAll(strings.ReplaceAll(step.Script(), "{", ""), "}", ""), -1) {
			if !slices.Contains(known, name[1]) {
				add("nothing sets %s", name[1])
			}
		}
		for name, value := range step.Env {
			if token := name == "SYSTEM_ACCESSTOKEN" && federated; azureMacro.MatchString(value) != token || token && value != jobToken {
				add("%s is %q", name, value)
			}
		}
		for name, value := range step.Inputs {
			for _, macro := range azureMacro.FindAllString(value, -1) {
				if macro != "$(Agent.TempDirectory)" {
					add("input %s has the macro %s", name, macro)
				}
			}
		}
		if kind != "dagger" {
			continue
		}
		if want := (AzureTarget{Container: "host", Commands: "restricted", SettableVariables: "none"}); step.Target == nil || *step.Target != want {
			add("what an app prints commands the agent")
		}
		if folder, _, err := command(argv); !judged && err == nil && folder != "." {
			add("is about %s", folder)
		}
		if judged {
			if err := open(t).judged(argv); err != nil {
				add("%v", err)
			}
		}
		called := slices.ContainsFunc(argv, azureEffect.MatchString)
		changes = changes || called
		if !federated {
			if called || strings.Contains(step.Script(), "TOKEN") {
				add("changes something, or has a token, and is nobody")
			}
			continue
		}
		inputs := map[string]string{"azureSubscription": step.Inputs["azureSubscription"], "visibleAzLogin": "false", "scriptType": "bash", "scriptLocation": "inlineScript", "inlineScript": step.Script()}
		if !maps.Equal(inputs, step.Inputs) || inputs["azureSubscription"] == "" {
			add("inputs are %v", step.Inputs)
		}
		for flag, value := range map[string]string{
			"--client-id": "$AZURESUBSCRIPTION_CLIENT_ID", "--tenant-id": "$AZURESUBSCRIPTION_TENANT_ID", "--service-connection": "$AZURESUBSCRIPTION_SERVICE_CONNECTION_ID",
			"--subscription-id": "$AZURE_SUBSCRIPTION_ID", "--request-url": "$SYSTEM_OIDCREQUESTURI", "--token": "env:SYSTEM_ACCESSTOKEN",
		} {
			if at := slices.Index(argv, flag); at < slices.Index(argv, "with-azure") || argv[at+1] != value {
				add("with-azure has no %s %s", flag, value)
			}
		}
		if environment := step.Env["ENVIRONMENT"]; job.Environment != "" && environment != job.Environment {
			add("goes to %s behind the approvals of %s", environment, job.Environment)
		} else if !strings.Contains(step.Inputs["azureSubscription"], "-"+environment+"-") {
			add("goes to %s by service connection %s", environment, step.Inputs["azureSubscription"])
		}
	}
	want := []string{"self", "curl", "sha256sum", "ExtractFiles@1", "dagger"}
	if judged {
		want = slices.Insert(want, 1, "base")
	}
	if kinds = slices.DeleteFunc(kinds, func(k string) bool { return k == "publish" }); !slices.Equal(kinds, want) {
		problems = append(problems, fmt.Sprintf("is not one call of a dagger that was verified: %v", kinds))
	}
	return changes, problems
}

func TestAzurePipelinesKeepTheRules(t *testing.T) {
	assert.Empty(t, azureProblems(t, "azure"))
	pipelines, err := AzurePipelines("azure", "azure")
	require.NoError(t, err)
	environments := map[string][]string{}
	for _, p := range pipelines {
		for _, stage := range p.Stages {
			for _, job := range stage.Jobs {
				environments[p.File] = append(environments[p.File], job.Name+":"+job.Environment)
			}
		}
	}
	assert.Equal(t, map[string][]string{
		"checks.yml":         {"test_hello:", "scan_hello:", "plan_dev:"},
		"delivery.yml":       {"deliver_hello:dev", "deliver_hello:staging", "deliver_hello:production"},
		"infrastructure.yml": {"plan_dev:", "apply_dev:dev", "plan_staging:", "apply_staging:staging", "plan_production:", "apply_production:production"},
	}, environments)
	var pinned struct {
		Dagger    string `yaml:"dagger"`
		DaggerCLI string `yaml:"daggerCLI"`
	}
	data, err := os.ReadFile("../versions.yaml")
	require.NoError(t, err)
	require.NoError(t, yaml.Unmarshal(data, &pinned))
	assert.Contains(t, pipelines[0].Variables["DAGGER_ARCHIVE"], "/dagger_"+pinned.Dagger+"_linux_amd64.tar.gz")
	assert.Equal(t, pinned.DaggerCLI, pipelines[0].Variables["DAGGER_SHA256"])
}

func TestAzureCallsAreWhatTheirStepsSay(t *testing.T) {
	calls, err := AzureCalls("azure")
	require.NoError(t, err)
	assert.Len(t, calls, 12)
	at := slices.IndexFunc(calls, func(c AzureCall) bool { return c.File == "templates/apply.yml" })
	require.GreaterOrEqual(t, at, 0)
	assert.Equal(t, []string{
		"dagger", "call", "with-azure", "--client-id", "$AZURESUBSCRIPTION_CLIENT_ID", "--tenant-id", "$AZURESUBSCRIPTION_TENANT_ID", "--subscription-id", "$AZURE_SUBSCRIPTION_ID",
		"--token", "env:SYSTEM_ACCESSTOKEN", "--request-url", "$SYSTEM_OIDCREQUESTURI", "--service-connection", "$AZURESUBSCRIPTION_SERVICE_CONNECTION_ID",
		"infra", "--env", "$ENVIRONMENT", "plan", "check", "apply", "outputs",
	}, calls[at].Argv)
	assert.Equal(t, map[string]string{"ENVIRONMENT": "dev", "SYSTEM_ACCESSTOKEN": jobToken}, calls[at].Env)
	text, err := os.ReadFile("azure/templates/apply.yml")
	require.NoError(t, err)
	assert.Contains(t, strings.Split(string(text), "\n")[calls[at].Line-1], "- task: AzureCLI@2")
}

// azureUnknown are the calls that the pipeline does not have.
func azureUnknown(t *testing.T, dir string) (unknown []string) {
	t.Helper()
	calls, err := AzureCalls(dir)
	require.NoError(t, err)
	for _, c := range calls {
		if err := open(t).Check(c.Argv); err != nil {
			unknown = append(unknown, fmt.Sprintf("%s:%d: %v", c.File, c.Line, err))
		}
	}
	return unknown
}

func TestAzureCallsAreThere(t *testing.T) {
	assert.Empty(t, azureUnknown(t, "azure"))
	const none = "- name: SLIPWAY_WITH\n  value: ''"
	assert.Empty(t, azureUnknown(t, copied(t, "variables.yml", none, "- name: SLIPWAY_WITH\n  value: with-kms-key --uri azurekms://acme.vault.azure.net/release")))
	for old, text := range map[string]string{"deliver --app": "deliver --apps", "document": "dokument", "--kind AZURE_DEVOPS": "--kind AZURE", "with-gitops": "with-git"} {
		assert.Len(t, azureUnknown(t, copied(t, "templates/deliver.yml", old, text)), 3, text)
	}
	assert.Len(t, azureUnknown(t, copied(t, "variables.yml", none, "- name: SLIPWAY_WITH\n  value: with-key")), 12)
}

// copied is a copy of the pipelines with one text of a file in another's place.
func copied(t *testing.T, file, old, text string) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.CopyFS(dir, os.DirFS("azure")))
	data, err := os.ReadFile(filepath.Join(dir, file))
	require.NoError(t, err)
	require.Contains(t, string(data), old)
	require.NoError(t, os.WriteFile(filepath.Join(dir, file), []byte(strings.Replace(string(data), old, text, 1)), 0o600))
	return dir
}

func TestAzurePipelinesThatBreakARuleAreNamed(t *testing.T) {
	const deliver, plan, check = "templates/deliver.yml", "templates/plan.yml", "templates/check.yml"
	for name, tc := range map[string]struct{ file, old, text, problem string }{
		"a second command":             {plan, "plan check summary", "plan check summary && echo done", "is not one plain command"},
		"a second line":                {plan, "inlineScript: >\n", "inlineScript: |\n", "is not one command"},
		"a pipe":                       {plan, "plan check summary", "plan check summary | tee log", "is not one plain command"},
		"a redirection":                {plan, "plan check summary", "plan check summary > log", "redirects"},
		"a macro in a script":          {plan, `"$ENVIRONMENT"`, `"$(environment)"`, "has a macro or a substitution"},
		"a substitution":               {plan, `"$ENVIRONMENT"`, "`cat env`", "is more than text and quoted variables"},
		"words that are code":          {"variables.yml", "- name: SLIPWAY_WITH\n  value: ''", "- name: SLIPWAY_WITH\n  value: --key $(secret)", "$SLIPWAY_WITH is not a variable with plain words"},
		"words of another program":     {"variables.yml", "- name: SLIPWAY_WITH\n  value: ''", "- name: SLIPWAY_WITH\n  value: deliver", "variable SLIPWAY_WITH is not what it is for"},
		"a variable by another name":   {"variables.yml", "- name: AZURE_CLOUD", "- name: azureCloud", `variable "azureCloud" is not as the environment will have it`},
		"a variable without quotes":    {plan, `"$ENVIRONMENT"`, "$ENVIRONMENT", "$ENVIRONMENT is not a variable with plain words"},
		"a default":                    {plan, `"$ENVIRONMENT"`, `"${ENVIRONMENT:-dev}"`, "is more than text and quoted variables"},
		"an assignment":                {plan, `"$AGENT_TEMPDIRECTORY/dagger/dagger" call`, `A=b "$AGENT_TEMPDIRECTORY/dagger/dagger" call`, "is not one plain command"},
		"a variable of nobody":         {plan, `"$ENVIRONMENT"`, `"$WORLD"`, "nothing sets WORLD"},
		"another shell":                {plan, "scriptType: bash", "scriptType: pscore", "inputs are"},
		"a visible sign-in":            {plan, "visibleAzLogin: false", "visibleAzLogin: true", "inputs are"},
		"an unknown task":              {plan, "task: AzureCLI@2", "task: AzureCLI@1", "task AzureCLI@1 is not known"},
		"an unpinned task":             {"templates/cli.yml", "task: ExtractFiles@1", "task: ExtractFiles", "task ExtractFiles is not known"},
		"no verification":              {"templates/cli.yml", "sha256sum --check --strict", "echo", "is not one call of a dagger that was verified"},
		"kept credentials":             {"templates/dagger.yml", "persistCredentials: false", "persistCredentials: true", "leaves credentials or files behind"},
		"an agent that is commanded":   {deliver, "commands: restricted", "commands: any", "what an app prints commands the agent"},
		"variables that are set":       {deliver, "            settableVariables: none\n", "", "what an app prints commands the agent"},
		"a secret as a variable":       {"variables.yml", "- name: AZURE_CLOUD", "- name: PASSWORD\n  value: hunter2\n- name: AZURE_CLOUD", "variable PASSWORD is not what it is for"},
		"a group of secrets":           {"variables.yml", "- name: AZURE_CLOUD", "- group: secrets\n- name: AZURE_CLOUD", "field group not found"},
		"a secret in the step":         {deliver, "APP: ${{ parameters.app }}", "APP: $(cosignPassword)", `APP is "$(cosignPassword)"`},
		"another token":                {deliver, jobToken, "$(patOfSomebody)", `SYSTEM_ACCESSTOKEN is "$(patOfSomebody)"`},
		"a token for an app's tests":   {"templates/check.yml", "APP: ${{ parameters.app }}", "SYSTEM_ACCESSTOKEN: $(System.AccessToken)\n      APP: ${{ parameters.app }}", "SYSTEM_ACCESSTOKEN is"},
		"another identity":             {deliver, `"$AZURESUBSCRIPTION_CLIENT_ID"`, "00000000-0000-0000-0000-000000000000", "with-azure has no --client-id $AZURESUBSCRIPTION_CLIENT_ID"},
		"a token that grows old":       {deliver, `--request-url "$SYSTEM_OIDCREQUESTURI"`, "", "with-azure has no --request-url"},
		"another's connection":         {"delivery.yml", "slipway-production-deliver", "slipway-dev-deliver", "goes to production by service connection slipway-dev-deliver"},
		"another's approvals":          {deliver, "environment: ${{ parameters.environment }}\n", "environment: dev\n", "goes to staging behind the approvals of dev"},
		"no approvals":                 {deliver, "- deployment: deliver", "- job: deliver", "is neither a job with steps nor a deployment"},
		"an effect without them":       {plan, "plan check summary", "plan check apply outputs", "plan_dev changes something: true, and is a deployment: false"},
		"any branch":                   {"delivery.yml", "  condition: " + AzureOnMain + "\n", "", `stage dev has the condition ""`},
		"a condition of its own":       {"delivery.yml", "and(succeeded(), ", "and(always(), ", "stage dev has the condition"},
		"merged pushes":                {"delivery.yml", "batch: false", "batch: true", "is started by something else than each push to main"},
		"a pull request that delivers": {"delivery.yml", "pr: none", "pr: {branches: {include: [main]}}", "is started by something else than each push to main"},
		"every pull request":           {"delivery.yml", "pr: none\n", "", "delivery.yml: pr: is missing"},
		"cancelling":                   {"delivery.yml", "lockBehavior: sequential", "lockBehavior: runLatest", "cancels whoever waits"},
		"checks that are cancelled":    {"checks.yml", "autoCancel: false", "autoCancel: true", "is started by something else than each pull request to main"},
		"a failure that counts not":    {plan, "    displayName: Plan and check\n", "    displayName: Plan and check\n    continueOnError: true\n", "field continueOnError not found"},
		"a condition of a step":        {plan, "    displayName: Plan and check\n", "    displayName: Plan and check\n    condition: always()\n", "field condition not found"},
		"logic in a key":               {plan, "  steps:\n", "  ${{ if eq(parameters.environment, 'dev') }}:\n", "is logic"},
		"logic in a value":             {plan, "azureSubscription: ${{ parameters.serviceConnection }}", "azureSubscription: ${{ coalesce(parameters.serviceConnection, 'x') }}", "is logic"},
		"an unknown parameter":         {plan, "${{ parameters.serviceConnection }}", "${{ parameters.connection }}", "is no parameter"},
		"a parameter of nobody":        {"checks.yml", "{app: hello}", "{app: hello, env: dev}", "has parameters that templates/check.yml@base does not know"},
		"a template of itself":         {"templates/dagger.yml", "steps:\n", "steps:\n- template: dagger.yml\n", "templates/dagger.yml@base is a template of itself"},
		"a template that is missing":   {"templates/plan.yml", "template: dagger.yml", "template: ../../dagger.yml", "no such file"},
		"a template of another list":   {"templates/plan.yml", "template: dagger.yml", "template: plan.yml", "plan.yml@base is a template of itself"},
		"its own rules":                {check, "call -m ../base $SLIPWAY_WITH", "call $SLIPWAY_WITH", "takes the pipeline and its rules from ."},
		"rules of the change":          {check, "-m ../base", "-m ../change", "takes the pipeline and its rules from ../change"},
		"rules of another source":      {check, "-m ../base", "-m ../base --source ../change", "takes its rules from what --source says"},
		"the app of the base":          {check, "--checkout ../change", "--checkout ../base", "is not about the change's app"},
		"rules by a variable":          {"variables.yml", "- name: SLIPWAY_WITH\n  value: ''", "- name: SLIPWAY_WITH\n  value: --source ../change", "takes its rules from what --source says"},
		"another module's plan":        {plan, "call $SLIPWAY_WITH", "call -m ../base $SLIPWAY_WITH", "is about ../base"},
		"a call in the change":         {check, "s/base", "s/change", `runs in "$(Agent.BuildDirectory)/s/change"`},
		"a call in no folder":          {check, "    workingDirectory: $(Agent.BuildDirectory)/s/base\n", "", `runs in ""`},
		"a check of main alone":        {check, "base.yml", "dagger.yml", `checks out self at ""`},
		"one commit within the other":  {"templates/base.yml", "path: s/base", "path: s/change/base", `checks out base at "s/change/base"`},
		"a delivery elsewhere":         {"templates/dagger.yml", "  clean: true\n", "  clean: true\n  path: s/change\n", `checks out self at "s/change"`},
		"a base that keeps its token":  {"templates/base.yml", "path: s/base\n  clean: true\n  fetchDepth: 1\n  fetchTags: false\n  persistCredentials: false", "path: s/base\n  clean: true\n  persistCredentials: true", "leaves credentials or files behind"},
		"another branch's rules":       {"checks.yml", "ref: refs/heads/main", "ref: refs/heads/release", "has the repositories map[base:{git platform refs/heads/release}]"},
		"a base for a delivery":        {"delivery.yml", "variables:\n", "resources:\n  repositories: [{repository: base, type: git, name: platform, ref: refs/heads/main}]\nvariables:\n", "delivery.yml: has the repositories"},
		"the change's variables":       {"checks.yml", "wrappers/azure/variables.yml@base", "variables.yml", "checks.yml: takes variables.yml from the pull request"},
		"the change's steps":           {"checks.yml", "wrappers/azure/templates/check.yml@base", "templates/check.yml", "checks.yml: takes templates/check.yml from the pull request"},
		"a template of somebody":       {"checks.yml", "check.yml@base", "check.yml@other", "wrappers/azure/templates/check.yml@other is no template"},
		"a template of another folder": {"checks.yml", "wrappers/azure/templates/check.yml@base", "templates/check.yml@base", "is no template"},
		"a parameter that is missing":  {"checks.yml", "{app: hello}", "{}", "has no string for parameter app"},
	} {
		t.Run(name, func(t *testing.T) {
			problems := azureProblems(t, copied(t, tc.file, tc.old, tc.text))
			assert.Contains(t, strings.Join(problems, "\n"), tc.problem)
		})
	}
}

// What a pull request changes in the templates counts for nothing there, and all of it
// once it is on main.
func TestAzureTemplatesOfAPullRequestAreThoseOfItsBase(t *testing.T) {
	read := func(dir, base string) map[string]AzurePipeline {
		list, err := AzurePipelines(dir, base)
		require.NoError(t, err)
		all := map[string]AzurePipeline{}
		for _, p := range list {
			all[p.File] = p
		}
		return all
	}
	before := read("azure", "azure")
	for file, texts := range map[string][2]string{
		"templates/cli.yml": {"sha256sum --check", "true sha256sum --check"}, "templates/base.yml": {"checkout: base", "checkout: self"},
		"templates/check.yml": {"-m ../base", "-m ../change"}, "variables.yml": {"- name: SLIPWAY_WITH\n  value: ''", "- name: SLIPWAY_WITH\n  value: --source ../change"},
	} {
		changed := copied(t, file, texts[0], texts[1])
		assert.Equal(t, before["checks.yml"], read(changed, "azure")["checks.yml"], file)
		assert.NotEqual(t, before["checks.yml"], read(changed, changed)["checks.yml"], file)
	}
}

// asAzureReads is a YAML node as Azure's schema wants it, where every scalar is a string,
// but a task's input may be a boolean. It knows no target of a task, which Azure does:
// https://learn.microsoft.com/azure/devops/pipelines/yaml-schema/target
func asAzureReads(node *yaml.Node, within string) any {
	switch node.Kind {
	case yaml.MappingNode:
		all := map[string]any{}
		for n := 0; n < len(node.Content); n += 2 {
			if key := node.Content[n].Value; key != "target" || child(node, "task") == nil {
				all[key] = asAzureReads(node.Content[n+1], key)
			}
		}
		return all
	case yaml.SequenceNode:
		all := []any{}
		for _, item := range node.Content {
			all = append(all, asAzureReads(item, within))
		}
		return all
	}
	if boolean, err := strconv.ParseBool(node.Value); err == nil && slices.Contains([]string{"visibleAzLogin", "cleanDestinationFolder"}, within) {
		return boolean
	}
	return node.Value
}

// Azure's schema is not ours to hand on, and no registry has it: who has it gives it.
func TestAzurePipelinesSuitAzuresSchema(t *testing.T) {
	if *pipelineSchema == "" {
		t.Skip("-pipeline-schema names no file")
	}
	schema, err := jsonschema.NewCompiler().Compile(*pipelineSchema)
	require.NoError(t, err)
	// With the templates put in, as Azure runs them.
	problems := func(dir string) (all []string) {
		for _, file := range []string{"checks.yml", "delivery.yml", "infrastructure.yml"} {
			r := &azureReader{dir: dir, base: dir, files: map[*yaml.Node]string{}}
			root, err := r.load(file)
			require.NoError(t, err)
			root, err = r.put(root, file, nil)
			require.NoError(t, err)
			if err := schema.Validate(asAzureReads(root, "")); err != nil {
				all = append(all, file+": "+err.Error())
			}
		}
		return all
	}
	assert.Empty(t, problems("azure"))
	for name, tc := range map[string]struct{ file, old, text string }{
		"a word that is none": {"delivery.yml", "lockBehavior: sequential", "lockBehaviour: sequential"},
		"a lock of no kind":   {"delivery.yml", "lockBehavior: sequential", "lockBehavior: patient"},
		"an input of no task": {"templates/plan.yml", "scriptType: bash", "scriptKind: bash"},
		"a step of no kind":   {"templates/dagger.yml", "- checkout: self", "- fetch: self"},
	} {
		assert.NotEmpty(t, problems(copied(t, tc.file, tc.old, tc.text)), name)
	}
}
