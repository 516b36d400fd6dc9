package engine

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestSeedCommands(t *testing.T) {
	build := []string{"build", "-ldflags", "-s -w", "-o", "/tmp/seed", "."}
	get := []string{"get", "dagger.io/dagger@1309520660f6a5b35ef97b4fbe151e32a06a8dc5"}
	tidy := []string{"mod", "tidy"}
	assert.Equal(t, []seedCommand{
		{"/plain", []string{
			"mod", "edit",
			"-dropreplace=go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploggrpc",
			"-dropreplace=go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploghttp",
			"-dropreplace=go.opentelemetry.io/otel/log",
			"-dropreplace=go.opentelemetry.io/otel/sdk/log",
		}},
		{"/src", build}, {"/src", get}, {"/src", tidy},
		{"/plain", build}, {"/plain", get}, {"/plain", tidy},
	}, seedCommands())
}
