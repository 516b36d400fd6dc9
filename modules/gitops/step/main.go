// Command step is the step program of the release stage. It sets digests in the
// GitOps repository, shows what is set there, was set before or would change,
// and renders overlays:
//
//	step release --remote URL --app NAME --env NAME --repository REPO --digest DIGEST … --out DIR
//	step preview --remote URL --app NAME --env NAME --repository REPO --digest DIGEST … --out DIR
//	step show    --remote URL --app NAME --env NAME … --out DIR
//	step history --remote URL --app NAME --env NAME … --out DIR
//	step merged  --remote URL --branch NAME --commit HASH --out DIR
//	step render  --tree DIR --app NAME --env NAME --out DIR
//	step check-commit --checkout DIR --commit HASH --path FILE --repository REPO --digest DIGEST [--evidence DIGEST] --out DIR
//
// A release with --from ENV is a promotion, and one with --rollback-of COMMIT
// a rollback: a commit like every other, whose message says what it is.
//
// Each subcommand lists its flags with -h. It ends as package step says:
// result.json below --out holds its result or its Fault.
package main

import (
	"net/http"
	"os"

	"slipway/gitops/step/overlay"
	"slipway/step"
)

var commands = step.Commands{
	"release":      releaseCommand,
	"preview":      previewCommand,
	"history":      historyCommand,
	"merged":       mergedCommand,
	"show":         showCommand,
	"render":       renderCommand,
	"check-commit": checkCommitCommand,
}

func main() {
	// Rendering must not download anything, and Kustomize would.
	http.DefaultTransport = overlay.Offline{}
	commands.Run("step", os.Args[1:])
}
