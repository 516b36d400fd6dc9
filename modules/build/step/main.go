// Command build is the step program that makes, checks, publishes and reads
// back images. Each subcommand reads flags and files and writes its decision
// to --out, as package slipway/step defines.
package main

import (
	"os"

	"slipway/step"
)

var commands = step.Commands{
	"assemble":           assemble,
	"normalize":          normalize,
	"dockerfile-check":   dockerfileCheck,
	"dockerfile-rewrite": dockerfileRewrite,
	"packages-fetch":     packagesFetch,
	"committed":          committed,
	"order":              order,
	"publish":            publish,
	"fetch-verify":       fetchVerify,
	"pull":               pull,
	"publish-folder":     publishFolder,
	"unpack":             unpack,
}

func main() { commands.Run("build", os.Args[1:]) }
