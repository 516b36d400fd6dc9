package engine

import (
	"context"
	"os/exec"
	"strings"
)

// passedOn are the variables of the machine that reach the network for a
// build: proxies, and Go's settings of them.
var passedOn = []string{
	"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "no_proxy", "all_proxy",
	"GOSUMDB", "GONOSUMDB", "GOPRIVATE", "GONOPROXY", "GOINSECURE", "GONOSUMCHECK",
}

// seedCommand is a run of go inside the image's root.
type seedCommand struct {
	dir  string
	args []string
}

// seedCommands compiles the seed as Dagger's code generation compiles a
// module, in order. Code generation adds the replacements of engine/seed/go.mod
// to a module that lacks them, but looks at the module before: so both are
// compiled.
func seedCommands() []seedCommand {
	drop := []string{"mod", "edit"}
	for _, module := range otelLogModules {
		drop = append(drop, "-dropreplace=go.opentelemetry.io/otel/"+module)
	}
	commands := []seedCommand{{"/plain", drop}}
	for _, dir := range []string{"/src", "/plain"} {
		commands = append(commands,
			seedCommand{dir, []string{"build", "-ldflags", "-s -w", "-o", "/tmp/seed", "."}},
			seedCommand{dir, []string{"get", "dagger.io/dagger@" + goSDKCommit}},
			seedCommand{dir, []string{"mod", "tidy"}})
	}
	return commands
}

// otelLogModules are the modules that Dagger replaces by an earlier version.
var otelLogModules = []string{
	"exporters/otlp/otlplog/otlploggrpc", "exporters/otlp/otlplog/otlploghttp", "log", "sdk/log",
}

// goEnv returns one of the machine's Go settings.
func goEnv(ctx context.Context, name string) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", name).Output()
	return strings.TrimSpace(string(out)), err
}
