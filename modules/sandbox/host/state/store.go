package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

const (
	stateFile = "terraform.tfstate"
	lockFile  = "lock.json"
)

// one lets one request at a time at the states, whose folder is one process's.
var one sync.Mutex

// store is one state's folder.
type store struct {
	dir string
}

func open(root, infra, env string) (*store, error) {
	dir := filepath.Join(root, infra, env)
	return &store{dir}, os.MkdirAll(dir, 0o700)
}

func (s *store) read(file string) ([]byte, error) {
	return os.ReadFile(filepath.Join(s.dir, file))
}

// holder returns the ID and the document of the lock that is held; ID is empty
// when none is. A lock file that can't be understood counts as an error, never
// as an open lock.
func (s *store) holder() (id string, raw []byte, err error) {
	raw, err = s.read(lockFile)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil, nil
	}
	if err != nil {
		return "", nil, err
	}
	var info lockInfo
	if err := json.Unmarshal(raw, &info); err != nil {
		return "", nil, fmt.Errorf("%s: %w", lockFile, err)
	}
	if info.ID == "" {
		return "", nil, fmt.Errorf("%s has no ID", lockFile)
	}
	return info.ID, raw, nil
}

// write replaces a file so that a crash at any point leaves the old content or
// the new one, on disk, never a part.
func (s *store) write(file string, data []byte) error {
	tmp, err := os.CreateTemp(s.dir, file+".*.tmp")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(data)
	if err == nil {
		err = tmp.Sync()
	}
	if closed := tmp.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(tmp.Name(), filepath.Join(s.dir, file))
	}
	if err != nil {
		return err
	}
	return s.sync()
}

func (s *store) remove(file string) error {
	if err := os.Remove(filepath.Join(s.dir, file)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return s.sync()
}

// sync makes the folder's entries durable.
func (s *store) sync() error {
	dir, err := os.Open(s.dir)
	if err != nil {
		return err
	}
	err = dir.Sync()
	if closed := dir.Close(); err == nil {
		err = closed
	}
	return err
}
