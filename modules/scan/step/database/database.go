// Package database fetches Trivy's vulnerability database from an OCI registry,
// and says what a fetched one covers.
package database

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"slipway/registry"
	"slipway/scan/step/trivy"
	"slipway/step"
	"slipway/step/result/scan"
)

const (
	stage = "scan"
	// layerMediaType is the media type of Trivy's database.
	layerMediaType types.MediaType = "application/vnd.aquasec.trivy.db.layer.v1.tar+gzip"
	// schemaVersion is the version of the database that Trivy 0.74 reads.
	schemaVersion = 2
	// InfoFile is the name of the file, in a cache folder, that says which
	// database the folder holds. Its shape is findings.Database.
	InfoFile = "database.json"
)

// Resolve asks the registry which artifact repository:tag is, checks that it is
// a database, and returns its digest.
func Resolve(ctx context.Context, access registry.Access, repository, tag string) (string, error) {
	repo, err := registry.ParseRepository(stage, "repository", repository)
	if err != nil {
		return "", err
	}
	d, data, err := registry.New(access, repo, registry.Pull).Tagged(ctx, tag)
	if err != nil {
		return "", err
	}
	return d.Digest.String(), check("vulnerability database "+repository+":"+tag, d, data)
}

// check refuses a manifest that is no database's.
func check(asked string, d v1.Descriptor, data []byte) error {
	notOne := func(reason string, cause error) error {
		return step.Input(stage, asked, reason,
			"name the repository and tag of a Trivy database, such as the official one's mirror").Because(cause)
	}
	if !d.MediaType.IsImage() {
		return notOne(fmt.Sprintf("is a %s, not a database", d.MediaType), nil)
	}
	manifest, err := v1.ParseManifest(bytes.NewReader(data))
	if err != nil {
		return notOne("has a manifest that can't be read", err)
	}
	if len(manifest.Layers) != 1 || manifest.Layers[0].MediaType != layerMediaType {
		return notOne("is not a Trivy database: it has not one layer of type "+string(layerMediaType), nil)
	}
	return nil
}

// Fetch downloads the database with Trivy into cache. digest pins the artifact.
// The same artifact gives the same bytes: the time of the download is not kept.
func Fetch(ctx context.Context, access registry.Access, runner *trivy.Runner, repository, digest, cache string) (*scan.Database, error) {
	ref, err := registry.ParseReference(stage, "database", repository+"@"+digest)
	if err != nil {
		return nil, err
	}
	asked := "vulnerability database " + ref.Text
	client := registry.New(access, ref.Repository, registry.Pull)
	d, manifest, err := client.Manifest(ctx, ref.Digest)
	if err == nil {
		err = check(asked, d, manifest)
	}
	if err != nil {
		return nil, err
	}
	gateway, err := open(ctx, client, ref.Repository)
	if err != nil {
		return nil, err
	}
	defer func() { _ = gateway.Close() }()
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return nil, err
	}
	if err := runner.Online(ctx, trivy.DownloadArgs(cache, gateway.Reference(digest))...); err != nil {
		if errors.Is(err, context.Canceled) {
			return nil, err
		}
		return nil, step.Infrastructure(stage, asked, "could not be downloaded or unpacked, so there is no verdict",
			"check the registry and the artifact; publish the database again if it is damaged", trivy.Log(err)...).Because(err)
	}
	info, err := normalizeMetadata(filepath.Join(cache, "db"), digest)
	if err != nil {
		return nil, step.Infrastructure(stage, asked, "is not a database that Trivy can use: "+err.Error(),
			"publish the database again, with schema version 2").Because(err)
	}
	data, err := json.Marshal(info)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(cache, InfoFile), append(data, '\n'), 0o644); err != nil {
		return nil, err
	}
	if err := settleJava(cache, info.UpdatedAt); err != nil {
		return nil, err
	}
	// Reads it all back, as a scan will.
	info, _, err = Load(cache)
	return info, err
}

// metadata is the content of metadata.json beside the database.
type metadata struct {
	Version      int       `json:"Version"`
	NextUpdate   time.Time `json:"NextUpdate"`
	UpdatedAt    time.Time `json:"UpdatedAt"`
	DownloadedAt time.Time `json:"DownloadedAt"`
}

// normalizeMetadata reads the database's metadata and removes from it when the download
// happened.
func normalizeMetadata(folder, digest string) (*scan.Database, error) {
	path := filepath.Join(folder, "metadata.json")
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, errors.New("it has no metadata.json")
	}
	var m metadata
	if err := json.Unmarshal(data, &m); err != nil {
		return nil, errors.New("its metadata.json is not JSON")
	}
	if m.Version != schemaVersion {
		return nil, fmt.Errorf("it has schema version %d, not %d", m.Version, schemaVersion)
	}
	if m.UpdatedAt.IsZero() || m.NextUpdate.IsZero() {
		return nil, errors.New("its metadata.json does not say how old it is")
	}
	m.UpdatedAt, m.NextUpdate = m.UpdatedAt.UTC(), m.NextUpdate.UTC()
	for _, at := range []time.Time{m.UpdatedAt, m.NextUpdate} {
		if year := at.Year(); year < 1 || year > 9999 {
			return nil, fmt.Errorf("its metadata.json names the year %d", year)
		}
	}
	m.DownloadedAt = m.UpdatedAt
	if data, err = json.Marshal(m); err != nil {
		return nil, err
	}
	if err := os.WriteFile(path, append(data, '\n'), 0o644); err != nil {
		return nil, err
	}
	return &scan.Database{
		Digest: digest, UpdatedAt: m.UpdatedAt, NextUpdate: m.NextUpdate, Version: m.Version,
	}, nil
}

// Load reads which database a cache folder holds, and what it covers. A folder
// without one is a fault.
func Load(cache string) (*scan.Database, *Coverage, error) {
	missing := func(reason string, cause error) error {
		return step.Infrastructure(stage, "--cache "+cache, reason+", so there is no verdict",
			"fetch the database first").Because(cause)
	}
	data, err := os.ReadFile(filepath.Join(cache, InfoFile))
	if err != nil {
		return nil, nil, missing("holds no vulnerability database", err)
	}
	var info scan.Database
	if err := json.Unmarshal(data, &info); err != nil || info.UpdatedAt.IsZero() {
		return nil, nil, missing("holds a vulnerability database of unknown age", err)
	}
	if err := step.Digest(stage, "database digest", info.Digest); err != nil {
		return nil, nil, missing("holds a vulnerability database of unknown origin", err)
	}
	coverage, err := cover(filepath.Join(cache, "db", "trivy.db"))
	if err != nil {
		return nil, nil, missing("holds a damaged vulnerability database", err)
	}
	if len(coverage.sources) == 0 {
		return nil, nil, missing("holds an empty vulnerability database", nil)
	}
	info.Sources = coverage.names
	return &info, coverage, nil
}
