// Package state serves Terraform state over HTTP: the server half of
// Terraform's http backend, with locking.
//
// One state lives at /state/<infra>/<env>. The methods are the ones that
// backend sends by default:
//
//	GET     the state: 200 with its JSON, 404 when there is none yet
//	POST    store the state; ?ID= names the lock it is written under
//	DELETE  remove the state; only while nobody holds the lock
//	LOCK    take the lock with a lock-info document: 200, or 423 with the
//	        holder's lock info when another one holds it
//	UNLOCK  give the lock back with the lock info it was taken with: 200, or
//	        409 when another one holds it
//
// It is stricter than the backend's documentation asks for: a state is written
// only by the holder of its lock, and a lock is given back only by its ID.
// Requests that repeat an earlier one (a retry after a lost answer) get the
// answer that the first one got.
//
// See https://developer.hashicorp.com/terraform/language/backend/http.
package state

import (
	"crypto/md5"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"regexp"
)

const (
	// MaxState is the largest state, in bytes, that is accepted.
	MaxState = 64 << 20
	// MaxLock is the largest lock-info document, in bytes, that is accepted.
	MaxLock = 64 << 10
)

// name is a DNS label of RFC 1123: nothing that passes can leave its folder.
var name = regexp.MustCompile(`\A[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\z`)

// Handler serves the states kept below dir, which is made when first needed.
// Several handlers of one process may share dir.
func Handler(dir string) http.Handler {
	mux := http.NewServeMux()
	for method, route := range map[string]struct {
		limit int64 // of the body, in bytes; zero when none is expected
		serve func(http.ResponseWriter, *http.Request, *store, []byte)
	}{
		http.MethodGet:    {0, get},
		http.MethodPost:   {MaxState, post},
		http.MethodDelete: {0, remove},
		"LOCK":            {MaxLock, lock},
		"UNLOCK":          {MaxLock, unlock},
	} {
		mux.HandleFunc(method+" /state/{infra}/{env}", func(w http.ResponseWriter, r *http.Request) {
			infra, env := r.PathValue("infra"), r.PathValue("env")
			if !name.MatchString(infra) || !name.MatchString(env) {
				http.Error(w, "infra and environment must be DNS labels", http.StatusBadRequest)
				return
			}
			// The whole body first: a slow client must not hold the store.
			var data []byte
			if route.limit > 0 {
				var ok bool
				if data, ok = body(w, r, route.limit); !ok {
					return
				}
			}
			one.Lock()
			defer one.Unlock()
			s, err := open(dir, infra, env)
			if err != nil {
				fail(w)
				return
			}
			route.serve(w, r, s, data)
		})
	}
	return mux
}

// lockInfo is the part of Terraform's lock document that the server reads; the
// document is stored and returned as it came.
type lockInfo struct {
	ID string `json:"ID"`
}

func get(w http.ResponseWriter, _ *http.Request, s *store, _ []byte) {
	data, err := s.read(stateFile)
	if errors.Is(err, fs.ErrNotExist) {
		http.Error(w, "no state yet", http.StatusNotFound)
		return
	}
	if err != nil {
		fail(w)
		return
	}
	sum := md5.Sum(data)
	w.Header().Set("Content-MD5", base64.StdEncoding.EncodeToString(sum[:]))
	answer(w, http.StatusOK, data)
}

func post(w http.ResponseWriter, r *http.Request, s *store, data []byte) {
	if want := r.Header.Get("Content-MD5"); want != "" {
		if sum := md5.Sum(data); want != base64.StdEncoding.EncodeToString(sum[:]) {
			http.Error(w, "body does not match Content-MD5", http.StatusBadRequest)
			return
		}
	}
	var doc struct {
		Version int     `json:"version"`
		Lineage string  `json:"lineage"`
		Serial  *uint64 `json:"serial"`
	}
	if err := json.Unmarshal(data, &doc); err != nil || doc.Version == 0 || doc.Lineage == "" || doc.Serial == nil {
		http.Error(w, "body is not a Terraform state", http.StatusBadRequest)
		return
	}
	id := r.URL.Query().Get("ID")
	held, raw, err := s.holder()
	switch {
	case err != nil:
		fail(w)
	case held == "":
		http.Error(w, "the state is not locked: lock it before writing", http.StatusConflict)
	case held != id:
		answer(w, http.StatusLocked, raw)
	default:
		done(w, s.write(stateFile, data))
	}
}

func remove(w http.ResponseWriter, _ *http.Request, s *store, _ []byte) {
	held, raw, err := s.holder()
	switch {
	case err != nil:
		fail(w)
	case held != "":
		answer(w, http.StatusLocked, raw)
	default:
		done(w, s.remove(stateFile))
	}
}

func lock(w http.ResponseWriter, _ *http.Request, s *store, data []byte) {
	id, ok := lockID(w, data)
	if !ok {
		return
	}
	held, raw, err := s.holder()
	switch {
	case err != nil:
		fail(w)
	case held == id:
		w.WriteHeader(http.StatusOK)
	case held != "":
		answer(w, http.StatusLocked, raw)
	default:
		done(w, s.write(lockFile, data))
	}
}

func unlock(w http.ResponseWriter, _ *http.Request, s *store, data []byte) {
	id, ok := lockID(w, data)
	if !ok {
		return
	}
	held, raw, err := s.holder()
	switch {
	case err != nil:
		fail(w)
	case held == "":
		w.WriteHeader(http.StatusOK)
	case held != id:
		answer(w, http.StatusConflict, raw)
	default:
		done(w, s.remove(lockFile))
	}
}

// body reads a request's body up to limit; on false it has answered.
func body(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, bool) {
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		http.Error(w, fmt.Sprintf("body is larger than %d bytes", limit), http.StatusRequestEntityTooLarge)
		return nil, false
	}
	if err != nil {
		http.Error(w, "body could not be read", http.StatusBadRequest)
		return nil, false
	}
	return data, true
}

// lockID reads the ID of a lock-info document; on false it has answered.
func lockID(w http.ResponseWriter, data []byte) (id string, ok bool) {
	var info lockInfo
	if err := json.Unmarshal(data, &info); err != nil || info.ID == "" {
		http.Error(w, "body is not a lock info with an ID", http.StatusBadRequest)
		return "", false
	}
	return info.ID, true
}

func answer(w http.ResponseWriter, status int, data []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// The status is sent; a client that hung up is the only one to miss the rest.
	_, _ = w.Write(data)
}

// done answers for what was to be stored or removed.
func done(w http.ResponseWriter, err error) {
	if err != nil {
		fail(w)
		return
	}
	w.WriteHeader(http.StatusOK)
}

// fail answers that storage failed; the cause names files of the server and is
// none of the client's business.
func fail(w http.ResponseWriter) {
	http.Error(w, "state storage failed", http.StatusInternalServerError)
}
