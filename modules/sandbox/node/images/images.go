// Package images puts the images that the node brings along into its container
// runtime.
package images

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"slipway/sandbox/node/process"
)

// Prefix is the repository prefix of the images that the node brings along. No
// registry answers for it.
const Prefix = "slipway.internal/"

const (
	ctr     = "/usr/local/bin/ctr"
	address = "/run/containerd/containerd.sock"
)

// Import loads every <name>:<version>.tar of a folder as an image of Prefix.
// Layers that the runtime already holds are not unpacked again.
func Import(ctx context.Context, folder string) ([]string, error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.tar"))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%s holds no image", folder)
	}
	if err := answer(ctx); err != nil {
		return nil, err
	}
	var names []string
	for _, file := range files {
		name := Prefix + strings.TrimSuffix(filepath.Base(file), ".tar")
		err := process.Run(ctx, nil, ctr, "--address", address, "--namespace", "k8s.io",
			"images", "import", "--local", "--index-name", name, file)
		if err != nil {
			return nil, fmt.Errorf("import %s: %w", name, err)
		}
		names = append(names, name)
	}
	return names, nil
}

// answer waits until the runtime takes calls.
func answer(ctx context.Context) error {
	for {
		if _, err := os.Stat(address); err == nil {
			if err = process.Run(ctx, nil, ctr, "--address", address, "version"); err == nil {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("containerd does not answer: %w", context.Cause(ctx))
		case <-time.After(100 * time.Millisecond):
		}
	}
}
