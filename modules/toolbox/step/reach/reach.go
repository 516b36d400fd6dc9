// Package reach is how a step program reaches what a reference, a URL or a
// kubeconfig names: at another address where the pipeline runs it beside itself,
// in plain HTTP on this machine only, and with passwords that lie in files.
package reach

import (
	"context"
	"errors"
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
// container than in the references that outlive the run.
type Connections map[string]string

// ParseConnections reads the values of a flag, each LOGICAL=ACTUAL, both
// host:port. Every failure is an input fault of the stage.
func ParseConnections(stage, flag string, values []string) (Connections, error) {
	connections := Connections{}
	for _, value := range values {
		logical, actual, ok := strings.Cut(value, "=")
		input := fmt.Sprintf("%s %.200q", flag, value)
		if !ok || !isHostPort(logical) || !isHostPort(actual) {
			return nil, step.Input(stage, input, "is not LOGICAL=ACTUAL", "give two addresses as host:port, such as localhost:5000=registry:5000")
		}
		if _, twice := connections[logical]; twice {
			return nil, step.Input(stage, input, "is given twice", "give each logical address once")
		}
		connections[logical] = actual
	}
	return connections, nil
}

func isHostPort(value string) bool {
	host, port, err := net.SplitHostPort(value)
	return err == nil && host != "" && port != ""
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
		return "", step.Input(stage, flag+" "+file, reason, "give a file that holds the password").Because(err)
	}
	password := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	if password == "" {
		return "", step.Input(stage, flag+" "+file, "is empty", "give a file that holds the password")
	}
	return password, nil
}
