package wrappers

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/step"
)

var workflows = flag.String("workflows", "github/workflows", "folder of the workflows to check")

// checkout is read once.
var checkout = sync.OnceValues(func() (*Repository, error) { return Open("..") })

func open(t *testing.T) *Repository {
	t.Helper()
	r, err := checkout()
	require.NoError(t, err)
	return r
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	require.NoError(t, err)
	return string(data)
}

// documented are the variables that the README tells to set: the last of a name is an
// environment's.
func documented(t *testing.T) map[string]string {
	settings := map[string]string{}
	for _, line := range regexp.MustCompile(`(?m)^       ([A-Z_]+)=(.*)$`).FindAllStringSubmatch(readFile(t, "github/README.md"), -1) {
		settings[line[1]] = line[2]
	}
	require.Len(t, settings, 8)
	return settings
}

func TestWorkflowsOnlyCallThePipeline(t *testing.T) {
	r := open(t)
	files, err := filepath.Glob(filepath.Join(*workflows, "*.yml"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	cloud := documented(t)
	cloud["AZURE_CLOUD"] = "with-azure-cloud --metadata-host management.usgovcloudapi.net"
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data := readFile(t, file)
			for _, settings := range []map[string]string{{}, documented(t), cloud} {
				assert.NoError(t, r.Workflow(file, []byte(data), settings))
			}
		})
	}
}

func TestEachVariableOfTheWorkflowsIsDocumented(t *testing.T) {
	text := readFile(t, "github/README.md")
	var used int
	for _, file := range []string{"github/workflows/deliver.yml", "github/workflows/pull-request.yml"} {
		for _, name := range regexp.MustCompile(`vars\.([A-Z_]+)`).FindAllStringSubmatch(readFile(t, file), -1) {
			assert.Contains(t, text, name[1])
			used++
		}
	}
	assert.Greater(t, used, 40)
}

func TestAWorkflowThatDoesMoreIsRefused(t *testing.T) {
	r, settings := open(t), documented(t)
	const checkout = "actions/checkout@de0fac2e4500dabe0009e67214ff5f5447ce83dd"
	for name, c := range map[string]struct{ file, old, new, want string }{
		"a tag":                            {"deliver", checkout, "actions/checkout@v6", "job dev, step 1: actions/checkout@v6 is not pinned"},
		"a short commit":                   {"deliver", checkout, "actions/checkout@de0fac2", "actions/checkout@de0fac2 is not pinned"},
		"a branch like a commit":           {"deliver", checkout, checkout + "0", "is not pinned"},
		"an image":                         {"deliver", checkout, "docker://alpine:3", "docker://alpine:3 is not pinned"},
		"a local file that is no action":   {"deliver", "./.github/actions/dagger", "./.github/actions/../../apps/hello", "is not pinned"},
		"a token in the checkout":          {"deliver", "persist-credentials: false", "persist-credentials: true", "leaves GitHub's token in the checkout"},
		"rights for all":                   {"deliver", "permissions: {}", "permissions: {contents: read}", "permissions: are not none"},
		"rights that nothing states":       {"deliver", "permissions: {}\n", "", "permissions: are not none"},
		"a job without stated rights":      {"pull-request", "    permissions:\n      contents: read\n    concurrency:\n      group: slipway-app", "    concurrency:\n      group: slipway-app", "job app: states no permissions"},
		"a right too many":                 {"deliver", "contents: write # the release's commit", "packages: write", "job dev: may packages: write"},
		"all rights":                       {"deliver", "contents: write # the release's commit", "contents: admin", "job dev: may contents: admin"},
		"a right that nothing uses":        {"pull-request", "      contents: read\n    concurrency:\n      group: slipway-app", "      contents: read\n      id-token: write\n    concurrency:\n      group: slipway-app", "job app: may ask for tokens, and does not"},
		"a pull request that writes":       {"pull-request", "contents: read", "contents: write", "job app: may write the repository"},
		"a job that nothing protects":      {"deliver", "    environment: dev\n", "", "job dev: has no environment"},
		"another environment":              {"deliver", "--app \"$SLIPWAY_APP\" --env dev", "--app \"$SLIPWAY_APP\" --env production", "is about production, and the job's environment is dev"},
		"another environment after a sign": {"deliver", "infra --env dev", "infra --env=production", "is about production"},
		"a run that is cancelled":          {"deliver", "cancel-in-progress: false", "cancel-in-progress: true", "job dev: may be cancelled in the middle"},
		"a run that may be cancelled":      {"deliver", "      cancel-in-progress: false # a run that is killed leaves its lock\n", "", "job dev: may be cancelled in the middle"},
		"two runs at once":                 {"deliver", "      group: slipway-dev\n", "", "job dev: has no concurrency group"},
		"a secret":                         {"deliver", "${{ vars.SLIPWAY_APP }}", "${{ secrets.SLIPWAY_APP }}", "job dev env SLIPWAY_APP: holds ${{ secrets.SLIPWAY_APP }}"},
		"a secret by another way":          {"deliver", "${{ vars.SLIPWAY_APP }}", "${{ fromJSON(toJSON(secrets)).X }}", "holds ${{ fromJSON(toJSON(secrets)).X }}"},
		"a secret of an action":            {"deliver", "${{ vars.DAGGER_CLI }}", "${{ secrets.DAGGER_CLI }}", "step 2 with from: holds ${{ secrets.DAGGER_CLI }}"},
		"GitHub's token for an action":     {"deliver", "${{ vars.DAGGER_CLI }}", "${{ github.token }}", "step 2 with from: holds ${{ github.token }}"},
		"what others write":                {"pull-request", "${{ vars.SLIPWAY_APP }}", "${{ github.event.pull_request.title }}", "holds ${{ github.event.pull_request.title }}"},
		"what others write, in a group":    {"pull-request", "slipway-app-${{ github.ref }}", "slipway-app-${{ github.head_ref }}", "holds ${{ github.head_ref }}"},
		"an expression in a script":        {"deliver", "infra --env dev", "infra --env ${{ vars.SLIPWAY_APP }}", "holds an expression, which becomes code"},
		"a second command":                 {"deliver", "plan check apply outputs", "plan check apply outputs; id", "is not one command"},
		"a pipe":                           {"deliver", "plan check apply outputs", "plan check apply outputs | tee log", "is more than a command"},
		"a redirection":                    {"deliver", "plan check apply outputs", "plan check apply outputs > log", "is more than a command"},
		"a substitution":                   {"deliver", "plan check apply outputs", "plan check apply outputs $(id)", "is more than a command"},
		"a fallback":                       {"deliver", "plan check apply outputs", "plan check apply outputs || true", "is more than a command"},
		"an assignment":                    {"pull-request", "dagger call -m", "A=b dagger call -m", "is more than a command"},
		"another program":                  {"pull-request", "dagger call -m", "curl -m", "calls another program than dagger"},
		"dagger, but no call":              {"pull-request", "dagger call -m", "dagger query -m", `has "query" where call belongs`},
		"a variable that nothing sets":     {"deliver", "--app \"$SLIPWAY_APP\"", "--app \"$APP\"", "uses the variable APP, which nothing sets"},
		"a token without the right to it":  {"pull-request", "      id-token: write # Azure's tokens\n", "", "uses the variable ACTIONS_ID_TOKEN_REQUEST_URL"},
		"a condition":                      {"deliver", "      - name: Deliver\n", "      - name: Deliver\n        if: always()\n", "field if not found"},
		"a step whose failure is nothing":  {"deliver", "      - name: Deliver\n", "      - name: Deliver\n        continue-on-error: true\n", "field continue-on-error not found"},
		"a matrix":                         {"deliver", "    environment: dev\n", "    environment: dev\n    strategy: {matrix: {app: [hello]}}\n", "field strategy not found"},
		"another shell":                    {"deliver", "shell: bash -efu {0}", "shell: bash {0}", "defaults.run.shell: is"},
		"a shell of a step":                {"deliver", "      - name: Deliver\n", "      - name: Deliver\n        shell: python\n", "field shell not found"},
		"a pull request with all rights":   {"pull-request", "  pull_request:\n", "  pull_request_target:\n", "field pull_request_target not found"},
		"any branch":                       {"deliver", "branches: [main]", "branches: ['**']", "is not about the main branch alone"},
		"no event":                         {"deliver", "  push:\n    branches: [main]\n", "  {}\n", "names no event"},
		"an action that is a call, too":    {"deliver", "      - name: Deliver\n", "      - name: Deliver\n        uses: ./.github/actions/dagger\n", "is not either an action or a call"},
		"a step that does nothing":         {"deliver", "      - name: Deliver\n", "      - name: Nothing\n      - name: Deliver\n", "is not either an action or a call"},
		"two events":                       {"deliver", "  push:\n", "  pull_request: {branches: [main]}\n  push:\n", "names two events"},
		"a pull request that applies":      {"pull-request", "infra --env dev plan check sha-256", "infra --env dev plan check apply outputs", "is a pull request's, and calls apply"},
		"a pull request with a deployment": {"pull-request", "  plan-dev:\n", "  plan-dev:\n    environment: dev\n", "is a pull request's, and has an environment"},
		"help instead of a deed":           {"deliver", "plan check apply outputs", "plan check apply --help", "asks for help"},
		"a function that is gone":          {"deliver", "plan check apply outputs", "plan check apply everything", `the type Applied has no function "everything"`},
		"a stage that is left out":         {"deliver", "plan check apply outputs", "plan apply outputs", `the type Plan has no function "apply"`},
		"a flag that is gone":              {"deliver", "--subscription-id", "--subscription", "with-azure has no flag --subscription"},
		"a required flag":                  {"deliver", "--client-id \"$AZURE_CLIENT_ID\" ", "", "with-azure lacks the flag --client-id"},
		"a value that there is not":        {"deliver", "GITHUB_ACTIONS", "JENKINS", `the flag --kind of with-runner is "JENKINS"`},
		"a secret on the command line":     {"deliver", "env:ACTIONS_ID_TOKEN_REQUEST_TOKEN", "\"$ACTIONS_ID_TOKEN_REQUEST_TOKEN\"", "is a secret's text"},
		"a pull request's own rules":       {"pull-request", "dagger call -m ../base", "dagger call", "job app, step 4: wrapper: refused by policy: dagger call"},
		"rules of the change":              {"pull-request", "-m ../base", "-m ../change", "module ../change: is none of this repository's"},
		"rules of a variable":              {"pull-request", "-m ../base $SLIPWAY_WITH", "-m ../base --source ../change $SLIPWAY_WITH", "takes its rules from what --source says"},
		"the app of the base":              {"pull-request", "--checkout ../change", "--checkout ../base", "is not about the change's app"},
		"another branch's rules":           {"pull-request", "ref: main", "ref: release", `job app: checks out [" at change" "release at base"]`},
		"a branch that the change names":   {"pull-request", "ref: main", "ref: ${{ github.head_ref }}", "holds ${{ github.head_ref }}"},
		"one checkout within the other":    {"pull-request", "path: base", "path: change/base", `checks out [" at change" "main at change/base"]`},
		"no base":                          {"pull-request", "          ref: main\n", "", `checks out [" at base" " at change"]`},
		"another repository's rules":       {"pull-request", "          ref: main\n", "          ref: main\n          repository: acme/other\n", "job app: checks out with repository"},
		"a token in the base":              {"pull-request", "ref: main\n          persist-credentials: false", "ref: main\n          persist-credentials: true", "leaves GitHub's token in the checkout"},
		"the change's CLI":                 {"pull-request", "./base/.github", "./change/.github", "./change/.github/actions/dagger is the action of what is judged"},
		"the CLI of the workspace":         {"pull-request", "./base/.github", "./.github", "./.github/actions/dagger is the action of what is judged"},
		"anything in the base's folder":    {"pull-request", "./base/.github/actions/dagger", "./base/apps/hello", "is not pinned"},
		"a call from the change's folder":  {"pull-request", "working-directory: base", "working-directory: change", `job app, step 4: runs in "change"`},
		"a call from the workspace":        {"pull-request", "        working-directory: base\n", "", `job app, step 4: runs in ""`},
		"a plan by a base's action":        {"pull-request", "      - uses: ./.github", "      - uses: ./base/.github", "or of no base"},
		"a plan in another folder":         {"pull-request", "      - name: Plan\n", "      - name: Plan\n        working-directory: base\n", "is about another folder than the workspace"},
		"a delivery by another module":     {"deliver", "dagger call $SLIPWAY_WITH", "dagger call -m ../base $SLIPWAY_WITH", "job dev, step 3: is about another folder than the workspace"},
		"a delivery of another commit":     {"deliver", "persist-credentials: false", "ref: other\n          persist-credentials: false", `job dev: checks out ["other at "]`},
		"a second document":                {"deliver", "jobs:\n", "jobs: {}\n---\njobs:\n", "is more than one document"},
		"the same key twice":               {"deliver", "permissions: {}\n", "permissions: {}\npermissions: {}\n", "already defined"},
	} {
		t.Run(name, func(t *testing.T) {
			text := readFile(t, "github/workflows/"+c.file+".yml")
			require.Contains(t, text, c.old)
			err := r.Workflow(c.file+".yml", []byte(strings.Replace(text, c.old, c.new, 1)), settings)
			require.Error(t, err)
			assert.ErrorContains(t, err, c.want)
			assert.ErrorContains(t, err, "mend: ")
			assert.ErrorContains(t, err, c.file+".yml")
		})
	}
}

// What a variable says is checked with the calls that it becomes a part of.
func TestAVariableThatTheCallsCannotTakeIsRefused(t *testing.T) {
	r, text := open(t), readFile(t, "github/workflows/deliver.yml")
	for value, want := range map[string]string{
		"with-vault --uri x":                 `the type Slipway has no function "with-vault"`,
		"with-registry --user acme":          "with-registry has no flag --user",
		"--key-file cosign.key":              "dagger call has no flag --key-file",
		"app --name hello build":             `the type Image has no function "with-azure"`,
		"--key":                              "is a secret's text",
		"with-registry --password hunter2":   "the flag --password of with-registry is a secret's text",
		"--key cmd://cat$IFS/root/cosign":    "is a secret's text",
		"with-gitops --token 'env:GH_TOKEN'": "is a secret's text",
		"with-azure-cloud":                   "with-azure-cloud lacks the flag --metadata-host",
	} {
		settings := documented(t)
		settings["SLIPWAY_WITH"] = value
		err := r.Workflow("deliver.yml", []byte(text), settings)
		require.Error(t, err, value)
		assert.ErrorContains(t, err, want)
	}
}

func TestAVariableThatTakesAPullRequestFromItsBaseIsRefused(t *testing.T) {
	for value, want := range map[string]string{
		"-m .":               "takes the pipeline and its rules from .",
		"--source ../change": "takes its rules from what --source says",
	} {
		settings := documented(t)
		settings["SLIPWAY_WITH"] = value
		assert.ErrorContains(t, open(t).Workflow("pull-request.yml", []byte(readFile(t, "github/workflows/pull-request.yml")), settings), want)
	}
}

func TestTheActionFetchesThePinnedCLI(t *testing.T) {
	versions := readFile(t, "../versions.yaml")
	version := regexp.MustCompile(`(?m)^dagger: v(\S+)$`).FindStringSubmatch(versions)
	sum := regexp.MustCompile(`(?m)^daggerCLI: ([0-9a-f]{64})$`).FindStringSubmatch(versions)
	require.Len(t, version, 2)
	require.Len(t, sum, 2)
	action := readFile(t, "github/actions/dagger/action.yml")
	assert.Contains(t, action, "https://dl.dagger.io/dagger/releases/"+version[1]+"/dagger_v"+version[1]+"_linux_amd64.tar.gz\n")
	assert.Contains(t, action, "'dagger v"+version[1]+" '")
	assert.Contains(t, action, `"`+sum[1]+`  $RUNNER_TEMP/dagger.tar.gz"`)
	assert.Contains(t, readFile(t, "github/README.md"), "/releases/"+version[1]+"/checksums.txt")
}

// refusedBy wants a whole fault.
func refusedBy(t *testing.T, err error, want string) {
	t.Helper()
	var fault *step.Fault
	require.ErrorAs(t, err, &fault)
	assert.Equal(t, step.KindInput, fault.Kind)
	assert.Equal(t, stage, fault.Stage)
	assert.NotEmpty(t, fault.Mend)
	assert.ErrorContains(t, err, want)
}
