package advisory

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
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
	// Advisories is a folder of graded advisories; see Own. May be empty
	// when GoVulnDB is given.
	Advisories string
	// GoVulnDB is a folder of records of the Go vulnerability database;
	// see GoVulnDB. May be empty.
	GoVulnDB string
	// UpdatedAt is when the advisories were taken, NextUpdate when newer
	// ones are due. A scan judges a database's age by them.
	UpdatedAt, NextUpdate time.Time
}

// Summary says what a database holds.
type Summary struct {
	// Advisories counts the files read, per source.
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

	total := 0
	for _, s := range []struct {
		source source
		folder string
	}{{GoVulnDB, in.GoVulnDB}, {Own, in.Advisories}} {
		if s.folder == "" {
			continue
		}
		count, usable, err := s.source.check(s.folder)
		if err != nil {
			return nil, err
		}
		total += usable
		if err := s.source.insert(s.folder); err != nil {
			return nil, step.Input(stage, s.folder, "holds an advisory that can't be used: "+err.Error(),
				"write advisories in the OSV format, with database_specific.severity").Because(err)
		}
		summary.Advisories[s.source.data.Name] = count
	}
	if total == 0 {
		return nil, step.Input(stage, "advisories", "hold no vulnerability that is not withdrawn",
			"give a folder of OSV advisories")
	}
	if summary.Vulnerabilities, err = settle(); err != nil {
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

// settle turns the builder's working buckets into those that Trivy reads: the
// advisories of each id, and its title and severity from all sources. It
// returns the number of ids.
func settle() (int, error) {
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

// compact copies a database so that its bytes depend on its content alone: in
// key order, with a transaction for each bucket. One that touches two children
// of a bucket would allot their pages in a random order, because bbolt keeps
// open buckets in a map.
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
	err = source.View(func(read *bolt.Tx) error {
		return read.ForEach(func(name []byte, bucket *bolt.Bucket) error {
			return copyBucket(target, [][]byte{name}, bucket)
		})
	})
	if err != nil {
		return err
	}
	return errors.Join(target.Sync(), target.Close())
}

// creator is a transaction or a bucket.
type creator interface {
	CreateBucketIfNotExists(name []byte) (*bolt.Bucket, error)
}

// copyBucket copies the bucket at a path, and then each bucket in it.
func copyBucket(target *bolt.DB, path [][]byte, from *bolt.Bucket) error {
	err := target.Update(func(write *bolt.Tx) error {
		var parent creator = write
		var to *bolt.Bucket
		for _, name := range path {
			var err error
			if to, err = parent.CreateBucketIfNotExists(name); err != nil {
				return err
			}
			parent = to
		}
		to.FillPercent = 0.9
		return from.ForEach(func(key, value []byte) error {
			if value == nil {
				return nil
			}
			return to.Put(key, value)
		})
	})
	if err != nil {
		return err
	}
	return from.ForEachBucket(func(name []byte) error {
		return copyBucket(target, append(slices.Clone(path), name), from.Bucket(name))
	})
}
