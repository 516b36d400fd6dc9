package embedded

import (
	"flag"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// given parses a toolbox's flags.
func given(args ...string) (*Toolbox, error) {
	t := &Toolbox{}
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	t.Flags(flags)
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	return t, t.Given(flags)
}

func TestToolboxIsRememberedUntilAnotherIsGiven(t *testing.T) {
	key := filepath.Join(t.TempDir(), "cosign.pub")
	require.NoError(t, os.WriteFile(key, nil, 0o644))
	const own, address = "/own.pub", "localhost:5001"
	remembered := "SLIPWAY_TOOLBOX=localhost:5000/x/toolbox@sha256:1\nSLIPWAY_TOOLBOXKEY=/own.pub\n" +
		"SANDBOX_TOOLBOX=localhost:5000/x/node@sha256:2\nSANDBOX_TOOLBOXKEY=/own.pub\nSANDBOX_REGISTRY=tcp://localhost:5001\n"
	for name, tc := range map[string]struct {
		args      []string
		old, want string
	}{
		"nothing was ever given": {nil, "SLIPWAY_SANDBOX=tcp://localhost:5001\n", ""},
		"both":                   {[]string{"--toolbox", "localhost:5000/x/toolbox@sha256:1", "--node", "localhost:5000/x/node@sha256:2"}, "", remembered},
		"remembered":             {nil, "SLIPWAY_KEY=k\n" + remembered, remembered},
		"another, with its key": {[]string{"--toolbox", "r.example/toolbox@sha256:3", "--node=r.example/node@sha256:4", "--toolbox-key", key}, remembered,
			"SLIPWAY_TOOLBOX=r.example/toolbox@sha256:3\nSLIPWAY_TOOLBOXKEY=" + key + "\nSANDBOX_TOOLBOX=r.example/node@sha256:4\nSANDBOX_TOOLBOXKEY=" + key + "\n"},
		"taken back": {[]string{"--toolbox=", "--node="}, remembered, ""},
	} {
		toolbox, err := given(tc.args...)
		require.NoError(t, err, name)
		assert.Equal(t, tc.want, toolbox.settings(tc.old, own, address), name)
	}
}

func TestToolboxKeyIsRefused(t *testing.T) {
	_, err := given("--toolbox-key", "cosign.pub")
	require.ErrorContains(t, err, "--toolbox-key needs --toolbox or --node")
	_, err = given("--toolbox", "r.example/toolbox@sha256:3", "--toolbox-key", filepath.Join(t.TempDir(), "missing.pub"))
	require.ErrorIs(t, err, os.ErrNotExist)
}
