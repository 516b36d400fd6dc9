// Package e2e tests the whole pipeline as its user runs it: dagger calls on a
// real engine, against a registry, a Git remote and a Terraform state backend
// that the tests start and stop. Build tag: e2e.
package e2e
