package main

// The toolchain that compiles everything, and its checksum as the Go checksum
// database has it.
const (
	toolchainModule  = "golang.org/toolchain"
	toolchainVersion = "v0.0.1-go1.26.8.linux-amd64"
	toolchainSum     = "h1:ZOmGe1OnfREDMIdb1Qi4G9JSuDPBLGExZMQ4nis1RXM="
)
