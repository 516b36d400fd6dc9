package database

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"time"
)

// noArtifacts is a Java database (trivy-java-db, schema 1) with its tables and no
// row in them. Trivy reads no archive at all without one; with this one it takes
// what an archive says of itself, and asks nobody about the others.
//
//go:embed java.db.gz
var noArtifacts []byte

// settleJava puts the empty Java database where Trivy looks for one.
func settleJava(cache string, at time.Time) error {
	folder := filepath.Join(cache, "java-db")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	unpacked, err := gzip.NewReader(bytes.NewReader(noArtifacts))
	if err != nil {
		return err
	}
	data, err := io.ReadAll(unpacked)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(folder, "trivy-java.db"), data, 0o644); err != nil {
		return err
	}
	about, err := json.Marshal(metadata{Version: 1, NextUpdate: at, UpdatedAt: at, DownloadedAt: at})
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, "metadata.json"), append(about, '\n'), 0o644)
}
