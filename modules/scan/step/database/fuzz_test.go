package database

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"slipway/step"
	"slipway/step/steptest"
)

// FuzzSettle: metadata is refused, or says how old the database is; settled
// again it is the same bytes.
func FuzzSettle(f *testing.F) {
	for _, text := range []string{
		`{"Version":2,"NextUpdate":"2026-01-03T03:04:05Z","UpdatedAt":"2026-01-02T03:04:05.123456789+14:00","DownloadedAt":"2026-01-02T09:00:00Z"}`,
		`{"Version":2,"NextUpdate":"2026-01-03T03:04:05Z"}`, `{"Version":1,"NextUpdate":"2026-01-03T03:04:05Z","UpdatedAt":"2026-01-02T03:04:05Z"}`,
		`{"version":2,"nextupdate":"9999-12-31T23:59:59-23:59","updatedat":"0001-01-01T00:00:01Z"}`, `{"Version":2,"UpdatedAt":"2026-02-30T00:00:00Z"}`,
		`{"Version":2.0}`, `{"Version":2,"UpdatedAt":1}`, "[]", "null", "", "{}{}",
		`{"Version":2,"NextUpdate":"9999-12-31T23:59:59-01:00","UpdatedAt":"0000-01-01T00:00:00+01:00"}`,
	} {
		f.Add([]byte(text))
	}
	const digest = "sha256:2222222222222222222222222222222222222222222222222222222222222222"
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		file := filepath.Join(dir, "metadata.json")
		if err := os.WriteFile(file, data, 0o644); err != nil {
			t.Fatal(err)
		}
		info, err := normalizeMetadata(dir, digest)
		if err != nil {
			if err.Error() == "" || info != nil {
				t.Fatal(err)
			}
			return
		}
		if info.Digest != digest || info.Version != schemaVersion || info.UpdatedAt.IsZero() || info.NextUpdate.IsZero() {
			t.Fatalf("%+v", info)
		}
		if _, err := json.Marshal(info); err != nil {
			t.Fatalf("what was read can't be written: %v", err)
		}
		first, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		again, err := normalizeMetadata(dir, digest)
		if err != nil || !again.UpdatedAt.Equal(info.UpdatedAt) || !again.NextUpdate.Equal(info.NextUpdate) {
			t.Fatalf("%+v became %+v, %v", info, again, err)
		}
		if second, err := os.ReadFile(file); err != nil || string(first) != string(second) {
			t.Fatalf("%s became %s", first, second)
		}
	})
}

// FuzzLoad: a cache folder is refused unless it holds a database of known origin
// and age.
func FuzzLoad(f *testing.F) {
	const digest = "sha256:2222222222222222222222222222222222222222222222222222222222222222"
	f.Add([]byte(`{"digest":"`+digest+`","updatedAt":"2026-01-02T03:04:05Z","nextUpdate":"2026-01-03T03:04:05Z","version":2}`), []byte{})
	f.Add([]byte(`{"digest":"`+digest+`","updatedAt":"2026-01-02T03:04:05Z"}`), make([]byte, 1<<14))
	f.Add([]byte(`{"digest":"latest","updatedAt":"2026-01-02T03:04:05Z"}`), []byte("no database"))
	f.Add([]byte("null"), []byte{})
	f.Fuzz(func(t *testing.T, info, data []byte) {
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, "db"), 0o755); err != nil {
			t.Fatal(err)
		}
		for name, content := range map[string][]byte{InfoFile: info, "db/trivy.db": data} {
			if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, coverage, err := Load(dir)
		if err != nil {
			if fault := steptest.Refused(t, err); got != nil || coverage != nil || fault.Stage != stage {
				t.Fatal(err)
			}
			return
		}
		if step.Digest(stage, "digest", got.Digest) != nil || got.UpdatedAt.IsZero() || len(coverage.sources) == 0 {
			t.Fatalf("%+v covers %v", got, coverage)
		}
	})
}
