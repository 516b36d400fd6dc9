// Package engine builds, starts and stops the Dagger engine that Slipway uses
// on a Linux machine without Docker, and finds the one to use where there is
// Docker.
//
// The engine, its helper programs, the dagger CLI and the Go SDK image are
// built from modules that engine/dist and engine/seed pin with their go.sum.
// Everything is kept below the user's cache folder, in slipway/engine/<key>,
// where key is a hash of those pins, and its caches in
// slipway/engine/state-<version>: a second clone finds all of it built.
//
// A native engine runs as process 1 of its own PID and mount namespaces, in a
// root of its own that is assembled from the machine's /usr and copies of what
// the engine rewrites. It shares the machine's network. One engine runs per
// machine, because its bridge and address range are the machine's; locks in
// /run/slipway see to that.
package engine
