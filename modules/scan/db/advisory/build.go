package advisory

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/aquasecurity/trivy-db/pkg/db"
	"github.com/aquasecurity/trivy-db/pkg/metadata"
	"github.com/aquasecurity/trivy-db/pkg/vulnsrc/vulnerability"
	bolt "go.etcd.io/bbolt"

	"slipway/step"
)

const stage = "scan"

// Names of the two files that a Trivy database consists of.
const (
	DatabaseFile = "trivy.db"
	MetadataFile = "metadata.json"
)

// Input says what a database is built from.
type Input struct {
	// Advisories is a folder of advisories; see Source.
	Advisories string
	// UpdatedAt is when the advisories were taken, NextUpdate when newer
	// ones are due. A scan judges a database's age by them.
	UpdatedAt, NextUpdate time.Time
}

// Summary says what a database holds.
type Summary struct {
	// Advisories counts the files read, by the name of their source.
	Advisories map[string]int `json:"advisories"`
	// Vulnerabilities counts the ids stored.
	Vulnerabilities int `json:"vulnerabilities"`
	// UpdatedAt and NextUpdate are in RFC 3339, in UTC.
	UpdatedAt  time.Time `json:"updatedAt"`
	NextUpdate time.Time `json:"nextUpdate"`
	// Version is trivy-db's schema version.
	Version int `json:"version"`
}

// Build writes DatabaseFile and MetadataFile into out. The same input gives the
// same bytes. An advisory that can't be read, or no advisory at all, is a fault:
// a database that knows nothing would pass everything.
func Build(in Input, out string) (*Summary, error) {
	if in.UpdatedAt.IsZero() || !in.NextUpdate.After(in.UpdatedAt) {
		return nil, step.Input(stage, "--next-update", "is not later than --updated-at",
			"give two times in RFC 3339, the second one later")
	}
	summary := &Summary{
		Advisories: map[string]int{},
		UpdatedAt:  in.UpdatedAt.UTC(),
		NextUpdate: in.NextUpdate.UTC(),
		Version:    db.SchemaVersion,
	}
	work, err := os.MkdirTemp("", "advisories-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(work)
	if err := db.Init(work); err != nil {
		return nil, fmt.Errorf("open a new database: %w", err)
	}
	defer func() { _ = db.Close() }()

	count, usable, err := check(in.Advisories)
	if err != nil {
		return nil, err
	}
	if err := insert(in.Advisories); err != nil {
		return nil, step.Input(stage, in.Advisories, "holds an advisory that can't be used: "+err.Error(),
			"write advisories in the OSV format, with database_specific.severity").Because(err)
	}
	summary.Advisories[Source.Name] = count
	if usable == 0 {
		return nil, step.Input(stage, "advisories", "hold no vulnerability that is not withdrawn",
			"give a folder of OSV advisories")
	}
	if summary.Vulnerabilities, err = finish(); err != nil {
		return nil, err
	}
	if err := db.Close(); err != nil {
		return nil, err
	}
	if err := compact(db.Path(work), filepath.Join(out, DatabaseFile)); err != nil {
		return nil, fmt.Errorf("write the database: %w", err)
	}
	data, err := json.Marshal(metadata.Metadata{
		Version: summary.Version, UpdatedAt: summary.UpdatedAt, NextUpdate: summary.NextUpdate,
	})
	if err != nil {
		return nil, err
	}
	return summary, os.WriteFile(filepath.Join(out, MetadataFile), append(data, '\n'), 0o644)
}

// finish turns the builder's working buckets into those that Trivy reads: the
// advisories of each id, and its title and severity from all sources. It
// returns the number of ids.
func finish() (int, error) {
	config := db.Config{}
	normalizer := vulnerability.New(config)
	count := 0
	err := config.ForEachVulnerabilityID(func(tx *bolt.Tx, id string) error {
		details := normalizer.GetDetails(id)
		if len(details) == 0 || normalizer.IsRejected(details) {
			return nil
		}
		if err := config.SaveAdvisoryDetails(tx, id); err != nil {
			return err
		}
		count++
		return config.PutVulnerability(tx, id, normalizer.Normalize(id, details))
	})
	if err != nil {
		return 0, fmt.Errorf("collect the advisories: %w", err)
	}
	for _, drop := range []func() error{
		config.DeleteVulnerabilityIDBucket,
		config.DeleteVulnerabilityDetailBucket,
		config.DeleteAdvisoryDetailBucket,
	} {
		if err := drop(); err != nil {
			return 0, fmt.Errorf("drop a working bucket: %w", err)
		}
	}
	return count, nil
}

// compact copies a database so that its bytes depend on its content alone: in key
// order, with a transaction for each key. One that touches two children of a bucket
// would allot their pages in a random order, because bbolt keeps open buckets in a
// map.
func compact(from, to string) error {
	source, err := bolt.Open(from, 0o600, &bolt.Options{ReadOnly: true})
	if err != nil {
		return err
	}
	defer source.Close()
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	if err := os.RemoveAll(to); err != nil {
		return err
	}
	// Nothing needs the file before it is whole, so it is synced once.
	target, err := bolt.Open(to, 0o644, &bolt.Options{FreelistType: bolt.FreelistArrayType, PageSize: 4096, NoSync: true})
	if err != nil {
		return err
	}
	defer target.Close()
	if err := bolt.Compact(target, source, 1); err != nil {
		return err
	}
	return errors.Join(target.Sync(), target.Close())
}
