package engine

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSizeGC(t *testing.T) {
	tests := map[string]struct {
		total int64
		want  GCSpace
	}{
		"a large disk is capped": {1000 * gigabyte, GCSpace{60 * gigabyte, 10 * gigabyte, 3 * gigabyte}},
		"a middling disk":        {100 * gigabyte, GCSpace{50 * gigabyte, 10 * gigabyte, 2 * gigabyte}},
		"a small disk":           {20 * gigabyte, GCSpace{10 * gigabyte, 2 * gigabyte, gigabyte * 2 / 5}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) { assert.Equal(t, test.want, SizeGC(test.total)) })
	}
}

func TestSizeGCKeepsCachesOnAFullDisk(t *testing.T) {
	// 85 % of 100 GB is taken: what must stay free has to be less than what is,
	// or every session would end with its caches dropped.
	assert.Less(t, SizeGC(100*gigabyte).MinFreeSpace, 15*gigabyte)
}

func TestConfig(t *testing.T) {
	content, err := Config(GCSpace{MaxUsedSpace: 30, ReservedSpace: 20, MinFreeSpace: 10})
	require.NoError(t, err)
	space := map[string]any{"maxUsedSpace": 30.0, "reservedSpace": 20.0, "minFreeSpace": 10.0}
	with := func(more map[string]any) map[string]any {
		for name, value := range space {
			more[name] = value
		}
		return more
	}
	var got map[string]any
	require.NoError(t, json.Unmarshal(content, &got))
	assert.Equal(t, map[string]any{
		"logLevel": "info",
		"gc": with(map[string]any{"policies": []any{
			with(map[string]any{"keepDuration": "1440h"}),
			with(map[string]any{"all": true}),
		}}),
	}, got)
}
