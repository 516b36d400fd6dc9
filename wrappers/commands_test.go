package wrappers

import (
	"cmp"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// calledBy says of each chain of functions in README and docs which tests call it, on an
// engine: a file of e2e and a test, or several that call it together. Flags differ where
// the document names somebody's registry or key; TestDocumentedCallsAreThere holds them.
var calledBy = map[string][]string{
	"deliver":                        {"deliver_test.go TestDeliver"},
	"with-app deliver":               {"ownrepository_test.go TestAppInARepositoryOfItsOwn"},
	"with-app app build scan digest": {"ownrepository_test.go TestPullRequestCantBringItsOwnRules"},
	"deliver text":                   {"committed_test.go TestIgnoredFileIsNotCommitted"},
	"deliver-changed check text":     {"changed_test.go TestDeliverWhatAPushHasChanged"},
	"app build scan publish sign release receipt text": {
		"identity_test.go TestEvidenceAnIdentitySignsForItsEnvironments", "clusterbench_test.go BenchmarkClusterCommitToHealthy", "evidence_test.go TestEvidenceAReceiptVerifiesOffline",
	},
	"app build scan":                 {"refuse_test.go TestCommittedSecretIsRefused"},
	"app build sbom export":          {"deliver_test.go TestDeliver", "apps_test.go TestAGoServiceThatNobodyHereWrote"},
	"deliver document":               {"evidence_test.go TestEvidenceAReceiptVerifiesOffline"},
	"parity":                         {"wrappers_test.go TestWrapperGitHubIsAtParityWithALaptop"},
	"infra plan check apply outputs": {"infra_test.go TestInfraIsPlannedCheckedAndApplied"},
	"promote wait receipt text":      {"cluster_test.go TestClusterPromotesOnlyWhatIsHealthy"},
	"rollback wait receipt text":     {"cluster_test.go TestClusterRefusesABrokenReleaseAndRollsItBack"},
	"status text":                    {"cluster_test.go TestClusterPromotesOnlyWhatIsHealthy"},
	"preview text":                   {"preview_test.go TestPreviewSaysWhatAReleaseWouldChangeAndChangesNothing"},
	"drill text":                     {"drill_test.go TestEvidenceDrillFindsAGateThatDoesNotHold"},
	"drill json":                     {"drill_test.go TestEvidenceDrillStopsEveryAttackAtItsGate"},
	"inspect text":                   {"apps_test.go TestAGoServiceThatNobodyHereWrote"},
	"verify text":                    {"rescan_test.go TestEvidenceARescanFindsWhatHasFallenOutOfPolicy"},
	"receipt text":                   {"cluster_test.go TestClusterReleasesUntilHealthy"},
	"receipt html export":            {"cluster_test.go TestClusterReleasesUntilHealthy"},
	"receipt bundle export":          {"evidence_test.go TestEvidenceAReceiptVerifiesOffline"},
	"receipt-verify checked":         {"evidence_test.go TestEvidenceAReceiptVerifiesOffline"},
	"rescan text":                    {"rescan_test.go TestEvidenceARescanFindsWhatHasFallenOutOfPolicy"},
	"rescan check text":              {"rescan_test.go TestEvidenceARescanFindsWhatHasFallenOutOfPolicy"},
	"signed approve text":            {"approval_test.go TestEvidenceApprovalsLetAnImagePass"},
	"infra plan digest":              {"approval_test.go TestEvidenceApprovalsLetAnImagePass"},
	"revoke export":                  {"revocation_test.go TestEvidenceARevokedImageIsRefused"},
	"rescan revocations export":      {"rescan_test.go TestEvidenceARescanFindsWhatHasFallenOutOfPolicy"},
	"with-kms-key deliver text":      {"kms_test.go TestAManagedKeySignsAndTheImageIsReleased", "committed_test.go TestIgnoredFileIsNotCommitted"},
	"with-identity deliver text":     {"identity_test.go TestEvidenceAnIdentitySignsForItsEnvironments", "committed_test.go TestIgnoredFileIsNotCommitted"},
	"with-azure with-registry with-kms-key deliver text": {"azuredelivery_test.go TestAzureADeliveryNeedsNoPasswordAndKeepsNoToken", "committed_test.go TestIgnoredFileIsNotCommitted"},
	"with-registry with-gitops with-state with-database deliver json": {
		"deliver_test.go TestDeliver", "secrets_test.go TestEvidenceNoSecretIsKeptAnywhere", "rescan_test.go TestEvidenceARescanFindsWhatHasFallenOutOfPolicy",
	},
	"with-account key-file sign": {"database_test.go TestEvidenceWhoMovesTheDatabasesTagDecidesNothing"},
	"toolbox publish":            {"toolbox_test.go TestEvidenceToolboxIsVerifiedBeforeItIsUsed"},
	"keygen":                     {"evidence_test.go TestEvidenceAReceiptVerifiesOffline"},
}

// otherwise are the other commands of README and docs, each by its beginning: the test
// that runs it, or why none does.
var otherwise = map[string]string{
	". .slipway/env": "../engine/env_test.go TestEnvFileSourcedTwiceIsTheSame",
	"dagger -m modules/sandbox call --toolbox ": "../e2e/nodefresh_test.go TestNodeOnAnEngineThatSharesNothing",
	"dagger call with-toolbox ":                 "the sandbox's registry lets everybody read, so that no test needs a password: --toolbox goes the same way without",
	"dagger functions":                          "../e2e/bench_test.go BenchmarkLoad",
	"dagger call --help":                        "what it prints is made of the comments that TestDocumentedCallsAreThere reads",
	"cosign generate-key-pair":                  "no test runs it: keygen makes pairs of the same form, and the stock cosign takes their public half",
	"cosign verify --key ":                      "../e2e/cosign_test.go TestStockCosignAcceptsTheSignature",
	"cosign verify-attestation ":                "../e2e/cosign_test.go TestStockCosignAcceptsTheSignature",
}

// tasks are the verbs in README and docs that .ci/run does not run, and why.
var tasks = map[string]string{
	"default":         "it lists the others",
	"demo":            "the set-up, which .ci/run does with every verb, and deliver, which the tests call",
	"setup":           "the first part of every verb that .ci/run runs",
	"demo:cluster":    "cluster:up, then deliver, rollback and status, which test:cluster calls on a cluster of its own",
	"cluster:up":      "cluster:build, which .ci/run runs, and a start such as that of test:cluster, whose cluster is its own",
	"cluster:down":    "a part of down, which .ci/run runs",
	"cluster:reset":   "it forgets the developer's own cluster",
	"engine:reset":    "it deletes the caches that every other test needs",
	"toolbox:publish": "it passes on to toolbox publish and to the sandbox's publish, which the tests call",
}

var (
	// typed are the programs that a document tells to run.
	typed = regexp.MustCompile(`^(\.|dagger|go|cosign|terraform|tofu|kubectl|az|git|jq|docker|curl|export|rm) `)
	named = regexp.MustCompile("`((?:dagger|cosign|go tool task)(?: [^`]+)?)`")
)

// commandsOf are a document's commands: each line of an indented block, and what is
// named between backquotes, where a call need not have all of its flags.
func commandsOf(text string) []string {
	var commands []string
	for line := range strings.Lines(strings.ReplaceAll(blank.ReplaceAllString(text, "name"), "\\\n", " ")) {
		if block, indented := strings.CutPrefix(line, "    "); indented {
			block, _, _ = strings.Cut(block, " #")
			if block = strings.Join(strings.Fields(block), " "); typed.MatchString(block) {
				commands = append(commands, block)
			}
			continue
		}
		for _, found := range named.FindAllStringSubmatch(line, -1) {
			if found[1] == "dagger" || found[1] == "dagger call" {
				continue
			}
			if complete(found[1]) {
				found[1] += " " + help
			}
			commands = append(commands, found[1])
		}
	}
	return commands
}

// chain are the functions of a call, in their order.
func (r *Repository) chain(t *testing.T, call string) string {
	t.Helper()
	argv, err := Call(call, func(name string) (string, bool) { return "$" + name, true })
	require.NoError(t, err, call)
	names, err := r.functions(argv)
	require.NoError(t, err, call)
	return strings.Join(names, " ")
}

// said are the words of all strings in a file of tests, which declares the one named.
func said(t *testing.T, path, test string) map[string]bool {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	require.NoError(t, err)
	words, declared := map[string]bool{}, false
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			declared = declared || n.Name.Name == test
		case *ast.BasicLit:
			if text, err := strconv.Unquote(n.Value); err == nil && n.Kind == token.STRING {
				for _, word := range strings.Fields(text) {
					words[word] = true
				}
			}
		}
		return true
	})
	assert.True(t, declared, "%s declares no %s", path, test)
	return words
}

// TestEveryDocumentedCommandIsRun: what README and docs tell to type is run by a test, or
// stands above with the reason why not. docs/azure.md has a test that runs it from its
// beginning to its end.
func TestEveryDocumentedCommandIsRun(t *testing.T) {
	r := open(t)
	pages, err := filepath.Glob("../docs/*.md")
	require.NoError(t, err)
	assert.Contains(t, readFile(t, "../e2e/azuredocs_test.go"), `"docs/azure.md"`)
	pages = slices.DeleteFunc(append(pages, "../README.md"), func(page string) bool { return filepath.Base(page) == "azure.md" })
	var taskfile struct{ Tasks map[string]any }
	require.NoError(t, yaml.Unmarshal([]byte(readFile(t, "../Taskfile.yml")), &taskfile))
	ci := strings.FieldsFunc(readFile(t, "../.ci/run"), func(r rune) bool { return strings.ContainsRune(" \n;'\"", r) })

	met := map[string]bool{}
	for _, page := range pages {
		for _, typed := range commandsOf(readFile(t, page)) {
			if typed == "go tool task" || strings.HasPrefix(typed, "go tool task ") {
				verb, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(typed, "go tool task"), " "), " ")
				verb = cmp.Or(verb, "default")
				met["task "+verb] = true
				assert.Contains(t, taskfile.Tasks, verb, "%s: %s", page, typed)
				assert.NotEqual(t, tasks[verb] != "", slices.Contains(ci, verb), "%s: .ci/run does not run %s, and no reason is given; or both", page, verb)
				continue
			}
			if strings.Contains(typed, " … ") {
				continue // a call with a gap, whose like is there without one
			}
			beginning := slices.IndexFunc(slices.Sorted(maps.Keys(otherwise)), func(b string) bool { return strings.HasPrefix(typed, b) })
			switch {
			case beginning >= 0:
				met[slices.Sorted(maps.Keys(otherwise))[beginning]] = true
			case strings.HasPrefix(typed, "dagger "):
				chain := r.chain(t, typed)
				met[chain] = true
				assert.NotEmpty(t, calledBy[chain], "%s: %s: which test calls %q?", page, typed, chain)
			default:
				assert.Fail(t, "which test runs it, or why none?", "%s: %s", page, typed)
			}
		}
	}
	assert.Greater(t, len(met), 40)
	for verb := range tasks {
		assert.True(t, met["task "+verb], "no document has the verb %s any more", verb)
	}
	for beginning, by := range otherwise {
		assert.True(t, met[beginning], "no document has %s any more", beginning)
		if file, test, found := strings.Cut(by, "_test.go "); found {
			said(t, file+"_test.go", test)
		}
	}
	for chain, tests := range calledBy {
		assert.True(t, met[chain], "no document has %q any more", chain)
		words := map[string]bool{}
		for _, test := range tests {
			file, name, _ := strings.Cut(test, " ")
			maps.Copy(words, said(t, filepath.Join("../e2e", file), name))
		}
		for _, function := range strings.Fields(chain) {
			assert.True(t, words[function], "%s: say no %s, of %q", tests, function, chain)
		}
	}
}

func TestCommandsAreFoundInADocument(t *testing.T) {
	assert.Equal(t, []string{
		"dagger call app --name name test --help", "go tool task", "go tool task demo -- --x y",
		"dagger call --key file:x apps", "kubectl get pods", "cosign verify --key name",
	}, commandsOf("`dagger call app --name <name> test`, `go tool task`, `dagger` and `go.mod`\n\n    go tool task demo -- --x y   # why\n    dagger call \\\n      --key file:x \\\n      apps\n    hello is released\n\n    kubectl get pods\n`cosign verify --key <k>`\n"))
}
