package code

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/step"
)

func TestOnlyEphemeralVariablesMayBeSecret(t *testing.T) {
	const ephemeral = "variable \"token\" {\n  ephemeral = true\n}\n"
	for name, c := range map[string]struct {
		file, text string
		names      []string
		reason     string
	}{
		"ephemeral":         {"main.tf", ephemeral, []string{"token"}, ""},
		"ephemeral as JSON": {"main.tf.json", `{"variable":{"token":{"ephemeral":true}}}`, []string{"token"}, ""},
		"no names":          {"main.tf", ephemeral, nil, ""},
		"plain":             {"main.tf", "variable \"token\" {}\n", []string{"token"}, "is not ephemeral"},
		"sensitive":         {"main.tf", "variable \"token\" {\n  sensitive = true\n}\n", []string{"token"}, "is not ephemeral"},
		"false":             {"main.tf", "variable \"token\" {\n  ephemeral = false\n}\n", []string{"token"}, "is not ephemeral"},
		"null":              {"main.tf", "variable \"token\" {\n  ephemeral = null\n}\n", []string{"token"}, "is not ephemeral"},
		"unknown":           {"main.tf", "variable \"token\" {\n  ephemeral = local.x\n}\n", []string{"token"}, "is not ephemeral"},
		"one of two":        {"main.tf", ephemeral + "variable \"other\" {}\n", []string{"token", "other"}, "is not ephemeral"},
		"another":           {"main.tf", ephemeral, []string{"Token"}, "is not declared"},
		"of a module":       {"modules/m/main.tf", ephemeral, []string{"token"}, "is not declared"},
	} {
		t.Run(name, func(t *testing.T) {
			err := CheckEphemeral("plan", tree(t, map[string]string{c.file: c.text}), c.names)
			if c.reason == "" {
				require.NoError(t, err)
				return
			}
			f, ok := step.AsFault(err)
			require.True(t, ok, "%v", err)
			assert.Contains(t, f.Reason, c.reason)
		})
	}
}
