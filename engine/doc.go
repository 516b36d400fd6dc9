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
// A native engine runs as process 1 of its own PID, mount and network namespaces,
// in a root of its own that is assembled from the machine's /usr and copies of what
// the engine rewrites. Its network is linked to the machine's, which translates its
// addresses: the engine and its containers reach what the machine reaches, but no
// port of the machine itself, except for a nameserver or proxy that it is told of.
// The machine reaches the containers by their addresses. One engine runs per
// machine, because its address ranges are the machine's; locks in /run/slipway see
// to that.
package engine
