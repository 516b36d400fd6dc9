//go:build tools

// Package tofu pins OpenTofu, which is what applies where no executable of Terraform's
// is given, and the checksum of every module that it is compiled from. It holds no
// code. Compile it in this folder with CGO_ENABLED=0:
//
//	go build github.com/opentofu/opentofu/cmd/tofu
package tofu

import _ "github.com/opentofu/opentofu/cmd/tofu"
