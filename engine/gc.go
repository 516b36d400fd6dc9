package engine

import (
	"encoding/json"
	"fmt"
)

// gigabyte is in bytes, as Dagger counts it.
const gigabyte = int64(1_000_000_000)

// GCSpace is how much the engine's garbage collector keeps, in bytes; the
// fields are those of "gc" in Dagger's engine.json.
type GCSpace struct {
	MaxUsedSpace  int64 `json:"maxUsedSpace"`
	ReservedSpace int64 `json:"reservedSpace"`
	MinFreeSpace  int64 `json:"minFreeSpace"`
}

// SizeGC sizes the collector to a file system of total bytes. By default the
// engine wants a fifth of the disk free; on a fuller disk it then drops every
// cache after each session. Here it wants a fiftieth free, at most 3 GB, may
// take half of the disk, at most 60 GB, and always keeps a tenth, at most
// 10 GB. Free space is no input: what the engine itself took would count
// against it at its next start.
func SizeGC(total int64) GCSpace {
	return GCSpace{
		MaxUsedSpace:  min(60*gigabyte, total/2),
		ReservedSpace: min(10*gigabyte, total/10),
		MinFreeSpace:  min(3*gigabyte, total/50),
	}
}

// Config returns the engine's engine.json. Its two policies replace Dagger's
// three: the one left out holds compiler caches that were not used for two
// days to half a gigabyte, which is less than this pipeline's tools need.
func Config(space GCSpace) ([]byte, error) {
	type policy struct {
		All          bool   `json:"all,omitempty"`
		KeepDuration string `json:"keepDuration,omitempty"`
		GCSpace
	}
	type gc struct {
		GCSpace
		Policies []policy `json:"policies"`
	}
	config := struct {
		LogLevel string `json:"logLevel"`
		GC       gc     `json:"gc"`
	}{
		LogLevel: "info",
		GC: gc{GCSpace: space, Policies: []policy{
			{KeepDuration: "1440h", GCSpace: space},
			{All: true, GCSpace: space},
		}},
	}
	content, err := json.MarshalIndent(config, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write engine.json: %w", err)
	}
	return append(content, '\n'), nil
}
