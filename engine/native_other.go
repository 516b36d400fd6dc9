//go:build !linux

package engine

import (
	"context"
	"errors"
)

// errLinux is why there is no native engine on other systems.
var errLinux = errors.New("a native engine needs Linux: start Docker, or name an engine in " + runnerVariable)

// Enter fails: there are no namespaces to enter.
func Enter(string) error { return errLinux }

func (*Launcher) start(context.Context) error { return errLinux }

func (*Builder) compileSeed(context.Context, string) error { return errLinux }

func clean(string, Network) error { return nil }
