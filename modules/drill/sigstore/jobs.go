package main

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"sync"

	"slipway/drill/sigstore/standin"
)

// jobToken is what a job asks for its tokens with.
const jobToken = "job"

// jobs gives tokens about CI jobs, and knows which were used.
type jobs struct {
	mu   sync.Mutex
	used map[string]bool
}

func (j *jobs) give(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "Bearer "+jobToken || r.FormValue("audience") != "sigstore" {
		http.Error(w, "no job asks like this", http.StatusUnauthorized)
		return
	}
	// Each is another.
	whole := standin.Token(r.FormValue("email"), r.FormValue("issuer"))
	token := string(whole[:bytes.LastIndexByte(whole, '.')+1]) + base64.RawURLEncoding.EncodeToString([]byte(rand.Text()))
	j.mu.Lock()
	j.used[token] = false
	j.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]string{"value": token})
}

// once refuses a token of a job's that was used before.
func (j *jobs) once(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		j.mu.Lock()
		refuse := false
		for token, used := range j.used {
			if bytes.Contains(body, []byte(token)) {
				refuse, j.used[token] = used, true
			}
		}
		j.mu.Unlock()
		if refuse {
			http.Error(w, "the token has expired", http.StatusUnauthorized)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		next.ServeHTTP(w, r)
	})
}
