package engine

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestChoose(t *testing.T) {
	const own = "unix:///run/slipway/engine/engine.sock"
	tests := map[string]struct {
		given  string
		docker bool
		want   Runner
	}{
		"nothing there":            {"", false, RunnerNative},
		"Docker's daemon answers":  {"", true, RunnerDocker},
		"the environment names it": {"tcp://other:1", true, RunnerGiven},
		"our own file was sourced": {own, true, RunnerNative},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			getenv := func(string) string { return test.given }
			assert.Equal(t, test.want, Choose(getenv, own, func() bool { return test.docker }))
		})
	}
}

func TestDockerConfigured(t *testing.T) {
	tests := map[string]struct {
		env  map[string]string
		file string
		want bool
	}{
		"no socket, no setting":  {nil, "", false},
		"the usual socket":       {nil, "/var/run/docker.sock", true},
		"a host is named":        {map[string]string{"DOCKER_HOST": "tcp://d:1"}, "", true},
		"rootless":               {map[string]string{"XDG_RUNTIME_DIR": "/run/user/1"}, "/run/user/1/docker.sock", true},
		"a context was made":     {map[string]string{"HOME": "/h"}, "/h/.docker/contexts", true},
		"only a login was saved": {map[string]string{"HOME": "/h"}, "/h/.docker/config.json", false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := dockerConfigured(func(name string) string { return test.env[name] }, func(path string) bool { return path == test.file })
			assert.Equal(t, test.want, got)
		})
	}
}
