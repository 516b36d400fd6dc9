// Package reach is how a step program reaches what a reference, a URL or a
// kubeconfig names: at another address where the pipeline runs it beside itself,
// in plain HTTP on this machine only, and with passwords that lie in files.
package reach

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"time"

	"slipway/step"
)

// Connections maps the host:port that something is named by to the host:port to
// dial for it. What a pipeline runs beside itself has another address inside a
// container than in the references that outlive the run. It is a flag.Value.
type Connections map[string]string

// String renders nothing: the flag has no default.
func (Connections) String() string { return "" }

// Set adds LOGICAL=ACTUAL, both host:port.
func (c Connections) Set(value string) error {
	logical, actual, _ := strings.Cut(value, "=")
	if !isHostPort(logical) || !isHostPort(actual) {
		return errors.New("is not LOGICAL=ACTUAL")
	}
	if other, twice := c[logical]; twice && other != actual {
		return errors.New("leads elsewhere than before: " + logical + "=" + other)
	}
	c[logical] = actual
	return nil
}

// parseConnections reads the values of a flag. Every failure is an input fault of the
// stage.
func parseConnections(stage, flag string, values []string) (Connections, error) {
	connections := Connections{}
	for _, value := range values {
		if err := connections.Set(value); err != nil {
			return nil, step.Input(stage, fmt.Sprintf("%s %.200q", flag, value), err.Error(),
				"give two addresses as host:port, such as localhost:5000=registry:5000, and each logical one once")
		}
	}
	return connections, nil
}

// Flag adds a repeatable flag of connections, and returns what reads it once the flags
// are parsed: what is wrong with it is then a fault.
func Flag(set *flag.FlagSet, name, usage string) func(stage string) (Connections, error) {
	var values []string
	set.Func(name, usage+", `LOGICAL=ACTUAL`; repeatable", func(value string) error {
		values = append(values, value)
		return nil
	})
	return func(stage string) (Connections, error) { return parseConnections(stage, "--"+name, values) }
}

// isHostPort also refuses what would mean more in a URL.
func isHostPort(value string) bool {
	host, port, _ := net.SplitHostPort(value) // both are empty where it is none
	return host != "" && port != "" && !strings.ContainsAny(value, "/@?# \t\r\n")
}

// DialContext dials the actual address of a logical one, as http.Transport wants
// it.
func (c Connections) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	if actual, ok := c[address]; ok {
		address = actual
	}
	return (&net.Dialer{Timeout: 10 * time.Second}).DialContext(ctx, network, address)
}

// Loopback reports whether a host, without its port, is this machine by name: what
// may be spoken to in plain HTTP.
func Loopback(host string) bool {
	return host == "localhost" || net.ParseIP(host).IsLoopback()
}

// Password reads the file that a flag names. One line end at its end is not part of
// the password: editors and echo add one. Every failure is an input fault of the
// stage, and none holds the password.
func Password(stage, flag, file string) (string, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		reason := "can't be read"
		if path := (*fs.PathError)(nil); errors.As(err, &path) {
			reason += ": " + path.Err.Error()
		}
		return "", step.Input(stage, flag+" "+file, reason, "give a file that holds the password or token").Because(err)
	}
	password := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	if password == "" {
		return "", step.Input(stage, flag+" "+file, "is empty", "give a file that holds the password or token")
	}
	return password, nil
}
