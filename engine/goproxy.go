package engine

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// proxyPath is where the file proxy is inside the SDK image.
const proxyPath = "/usr/local/share/slipway/goproxy"

// FileProxy returns the files of a small Go module proxy
// (https://go.dev/ref/mod#goproxy-protocol), by their paths in it. It answers
// the questions of Dagger's code generation that name a commit or ask for the
// latest version, which many proxies don't answer: always with the pinned
// versions. It holds no module, so what they contain still comes from the
// machine's own proxy and is held against go.sum.
func FileProxy() map[string]string {
	const (
		sdk          = "dagger.io/dagger/@v/"
		querybuilder = "github.com/dagger/querybuilder/"
		otel         = "github.com/dagger/otel-go/"
	)
	info := func(version, time string) string {
		return fmt.Sprintf("{\"Version\":%q,\"Time\":%q}\n", version, time)
	}
	return map[string]string{
		sdk + goSDKCommit + ".info": info(DaggerVersion, "2026-06-17T17:36:04Z"),
		querybuilder + "@latest":    info(querybuilderVersion, "2026-04-02T04:05:06Z"),
		querybuilder + "@v/list":    "",
		otel + "@latest":            info(otelVersion, "2026-05-15T01:21:01Z"),
		otel + "@v/list":            "",
	}
}

// GoProxy is the GOPROXY of module containers: the file proxy, then the
// machine's own setting.
func GoProxy(machine string) string {
	return strings.TrimSuffix("file://"+proxyPath+","+machine, ",")
}

// writeFileProxy writes the file proxy into a root file system.
func writeFileProxy(root string) error {
	for name, content := range FileProxy() {
		file := filepath.Join(root, proxyPath, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
			return err
		}
	}
	return nil
}
