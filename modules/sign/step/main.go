// Command sign is the step program that makes keys, signs images and checks
// their signatures: package program, without keys that a key management service
// holds. modules/sign/kms is the one with them.
package main

import (
	"os"

	"slipway/sign/step/program"
)

func main() { program.Main(os.Args[1:], nil) }
