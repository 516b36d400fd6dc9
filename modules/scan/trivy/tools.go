//go:build tools

// Package trivy pins the scanner: the version of Trivy, and the checksum of
// every module that it is compiled from. It holds no code. Compile the scanner
// in this folder with GOEXPERIMENT=jsonv2 and CGO_ENABLED=0:
//
//	go build github.com/aquasecurity/trivy/cmd/trivy
package trivy

import _ "github.com/aquasecurity/trivy/cmd/trivy"
