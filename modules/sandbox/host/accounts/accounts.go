// Package accounts says who may write to the sandbox's parts: one account per
// purpose, made at the first start.
package accounts

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"slices"
	"strings"
)

// Purpose is what an account is for.
type Purpose string

// The purposes.
const (
	// Images pushes images of apps, and what is said about them.
	Images Purpose = "images"
	// Database pushes vulnerability databases: the repositories below slipway/.
	Database Purpose = "database"
	// Toolbox pushes compiled programs: the repositories toolbox and node.
	Toolbox Purpose = "toolbox"
	// GitOps pushes to the Git remote.
	GitOps Purpose = "gitops"
	// State reads and writes Terraform state.
	State Purpose = "state"
)

// Purposes are all of them.
var Purposes = []Purpose{Images, Database, Toolbox, GitOps, State}

// Account is a name and a password.
type Account struct {
	Username string `json:"username"`
	Password string `json:"password"`
}

// Accounts are the accounts of a sandbox. None at all means a sandbox that
// everybody may write to.
type Accounts map[Purpose]Account

// Load is Read that makes the file, with random passwords, where there is none.
func Load(file string) (Accounts, error) {
	a, err := Read(file)
	if errors.Is(err, fs.ErrNotExist) {
		return create(file)
	}
	return a, err
}

// Read reads the accounts of a file.
func Read(file string) (Accounts, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var a Accounts
	if err := json.Unmarshal(content, &a); err != nil {
		// The error could hold a part of the content.
		return nil, fmt.Errorf("%s is not a file of accounts: remove it, and the next start makes another", file)
	}
	for _, purpose := range Purposes {
		if a[purpose].Username == "" || a[purpose].Password == "" {
			return nil, fmt.Errorf("%s has no account for %s: remove it, and the next start makes another", file, purpose)
		}
	}
	return a, nil
}

// create makes a file that only its owner may read.
func create(file string) (Accounts, error) {
	a := Accounts{}
	// The names tell this sandbox's accounts from another one's.
	suffix := "-" + strings.ToLower(rand.Text()[:8])
	for _, purpose := range Purposes {
		a[purpose] = Account{Username: string(purpose) + suffix, Password: rand.Text()}
	}
	content, err := json.Marshal(a)
	if err != nil {
		return nil, err
	}
	temporary := file + ".new"
	if err := os.WriteFile(temporary, content, 0o600); err != nil {
		return nil, err
	}
	return a, os.Rename(temporary, file)
}

// Protect lets through what anybody may do, which is to read images and the Git
// remote, and what the request's account is for. Otherwise it answers 401 to
// nobody and to wrong passwords, and 403 to the account of another purpose.
func (a Accounts) Protect(next http.Handler) http.Handler {
	if len(a) == 0 {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who, known := a.who(r)
		allowed := needed(r)
		switch {
		case !known, who == "" && len(allowed) > 0:
			w.Header().Set("WWW-Authenticate", `Basic realm="slipway-sandbox"`)
			http.Error(w, "an account of the sandbox is needed", http.StatusUnauthorized)
		case len(allowed) > 0 && !slices.Contains(allowed, who):
			http.Error(w, fmt.Sprintf("the account %s is not for this", who), http.StatusForbidden)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// who is the purpose of the request's account; "" is nobody. It is not known when
// the request names an account and is not its.
func (a Accounts) who(r *http.Request) (purpose Purpose, known bool) {
	if r.Header.Get("Authorization") == "" {
		return "", true
	}
	username, password, ok := r.BasicAuth()
	if !ok {
		return "", false
	}
	// What clients send that were given no account.
	if username == "" && password == "" {
		return "", true
	}
	for purpose, account := range a {
		same := subtle.ConstantTimeCompare([]byte(account.Username), []byte(username)) & subtle.ConstantTimeCompare([]byte(account.Password), []byte(password))
		if same == 1 {
			return purpose, true
		}
	}
	return "", false
}

// needed are the purposes whose accounts may make a request; none means that
// everybody may. What is not known to be a read is a write.
func needed(r *http.Request) []Purpose {
	read := r.Method == http.MethodGet || r.Method == http.MethodHead
	part, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	switch part {
	case "v2":
		repository, _, named := strings.Cut(rest, "/")
		switch {
		case !named:
			// The registry itself, where clients ask whether they need an account,
			// and its list of repositories.
			return Purposes
		case read:
			return nil
		case repository == "slipway":
			return []Purpose{Database}
		case repository == "toolbox" || repository == "node":
			return []Purpose{Toolbox}
		}
		return []Purpose{Images}
	case "gitops.git":
		pushes := rest == "info/refs" && r.URL.Query().Get("service") != "git-upload-pack"
		if read && !pushes || r.Method == http.MethodPost && rest == "git-upload-pack" {
			return nil
		}
		return []Purpose{GitOps}
	}
	return []Purpose{State}
}
