package config_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/ci/config"
	"slipway/step"
)

const dockerfileApp = "name: hello\nbuild: {kind: dockerfile}\nport: 8080\n"

func TestDockerfileApp(t *testing.T) {
	a, err := new(config.Config).App("hello", []byte(dockerfileApp))
	require.NoError(t, err)
	assert.Equal(t, "Dockerfile", a.Build.File)
	assert.Equal(t, []string{"linux/amd64", "linux/arm64"}, a.Platforms)
	assert.Empty(t, a.Build.Arguments())

	a, err = new(config.Config).App("hello", []byte("name: hello\nbuild: {kind: dockerfile, args: {B: '2', A: 'x=y z'}, target: app, secrets: [npm, pip.token]}\ntest: {target: test}\nport: 8080\nplatforms: [linux/arm64]\n"))
	require.NoError(t, err)
	assert.Equal(t, []string{"linux/arm64"}, a.Platforms)
	assert.Equal(t, []string{"A=x=y z", "B=2"}, a.Build.Arguments())
	assert.Equal(t, config.Test{Target: "test"}, a.Test)

	a, err = new(config.Config).App("hello", []byte(dockerfileApp+"platforms: [linux/arm64, linux/amd64]\n"))
	require.NoError(t, err)
	assert.Equal(t, []string{"linux/amd64", "linux/arm64"}, a.Platforms)
	a, err = new(config.Config).App("hello", []byte(dockerfileApp))
	require.NoError(t, err)
	a.Platforms[0] = "changed"
	assert.Equal(t, "linux/amd64", config.Platforms[0])

	for name, tc := range map[string]struct{ old, new, input string }{
		"unknown platform":      {"port: 8080", "port: 8080\nplatforms: [windows/amd64]", `apps/hello/app.yaml: platforms: "windows/amd64"`},
		"platform twice":        {"port: 8080", "port: 8080\nplatforms: [linux/arm64, linux/arm64]", `apps/hello/app.yaml: platforms: "linux/arm64"`},
		"no platform":           {"port: 8080", "port: 8080\nplatforms: []", "apps/hello/app.yaml: platforms"},
		"argument's name":       {"kind: dockerfile", "kind: dockerfile, args: {A-B: x}", `apps/hello/app.yaml: build.args: "A-B"`},
		"argument on two lines": {"kind: dockerfile", `kind: dockerfile, args: {A: "x\ny"}`, `apps/hello/app.yaml: build.args: "A"`},
		"target":                {"kind: dockerfile", "kind: dockerfile, target: --x", `apps/hello/app.yaml: build.target "--x"`},
		"test's target":         {"port: 8080", "port: 8080\ntest: {target: Test}", `apps/hello/app.yaml: test.target "Test"`},
		"secret":                {"kind: dockerfile", "kind: dockerfile, secrets: [../x]", `apps/hello/app.yaml: build.secrets: "../x"`},
		"secret twice":          {"kind: dockerfile", "kind: dockerfile, secrets: [x, x]", `apps/hello/app.yaml: build.secrets: "x"`},
		"without a Dockerfile":  {"kind: dockerfile", "kind: go, package: ./x, target: test", "apps/hello/app.yaml: build.args, build.target, build.secrets or test.target"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := new(config.Config).App("hello", []byte(strings.Replace(dockerfileApp, tc.old, tc.new, 1)))
			f, ok := step.AsFault(err)
			require.True(t, ok, "want a fault, got %v", err)
			assert.Equal(t, step.KindInput, f.Kind)
			assert.Equal(t, tc.input, f.Input)
			assert.NotEmpty(t, f.Mend)
		})
	}
}
