// Package registry is the sandbox's OCI registry: the real distribution
// registry over a folder, without deletion or telemetry; its accounts are the
// server's.
//
// It speaks the OCI distribution specification 1.0 and takes OCI 1.1 manifests
// with a subject. Distribution 3.1.2 has no referrers endpoint, so it answers
// 404 there and clients keep the referrers tag, sha256-<hex>, as the
// specification's fallback says; go-containerregistry and cosign both do.
package registry

import (
	"context"
	"fmt"
	"net/http"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry/handlers"
	// The driver registers itself under the name "filesystem".
	_ "github.com/distribution/distribution/v3/registry/storage/driver/filesystem"
	"github.com/sirupsen/logrus"
)

// New returns a registry that keeps its content below dir, an absolute path.
// It stops its own background work when ctx ends.
func New(ctx context.Context, dir string) (handler http.Handler, err error) {
	quiet()
	// Distribution reports a configuration that it can't use by a panic.
	defer func() {
		if r := recover(); r != nil {
			handler, err = nil, fmt.Errorf("registry below %s: %v", dir, r)
		}
	}()
	return handlers.NewApp(ctx, settings(dir)), nil
}

func settings(dir string) *configuration.Configuration {
	c := &configuration.Configuration{Version: configuration.CurrentVersion}
	c.Storage = configuration.Storage{
		"filesystem":  {"rootdirectory": dir},
		"delete":      {"enabled": false},
		"redirect":    {"disable": true},
		"maintenance": {"uploadpurging": map[any]any{"enabled": false}},
	}
	c.Log.AccessLog.Disabled = true
	return c
}

// quiet drops what distribution logs through logrus' global logger about
// ordinary answers, such as a 404 for a blob that is about to be pushed, and
// keeps what the registry itself failed at.
func quiet() {
	logrus.SetLevel(logrus.ErrorLevel)
	logrus.SetFormatter(failures{&logrus.TextFormatter{DisableColors: true, FullTimestamp: true}})
}

// failures formats only entries that are not about a client's request, or
// whose request was answered with a server error.
type failures struct{ logrus.Formatter }

func (f failures) Format(e *logrus.Entry) ([]byte, error) {
	if status, ok := e.Data["http.response.status"].(int); ok && status < http.StatusInternalServerError {
		return nil, nil
	}
	return f.Formatter.Format(e)
}
