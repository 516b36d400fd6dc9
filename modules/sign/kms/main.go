// Command kms is the step program "sign" for keys that a key management service
// holds: package program's subcommands, where --key-uri may be an awskms://, gcpkms://
// or hashivault:// URI, too. It is a program of its own because of the services'
// SDKs, which nobody else compiles.
package main

import (
	"os"

	"slipway/sign/kms/provider"
	"slipway/sign/step/program"
)

func main() { program.Main(os.Args[1:], provider.Open) }
