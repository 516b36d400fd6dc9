// Package accounts says who may write to the sandbox's parts: one account per
// purpose and, where that is an environment's, per environment.
package accounts

import (
	"context"
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

// The purposes that are no environment's. An image is none's: it is built once, and what
// an environment accepts is who has signed it.
const (
	// Images pushes images of apps, and what is said about them.
	Images Purpose = "images"
	// Database pushes vulnerability databases: the repositories below slipway/.
	Database Purpose = "database"
	// Toolbox pushes compiled programs: the repositories toolbox and node.
	Toolbox Purpose = "toolbox"
	// Platform pushes whatever it wants to the Git remote.
	Platform Purpose = "platform"
)

const gitops, state = "gitops/", "state/"

// GitOps pushes to the Git remote what changes an environment's overlays only.
func GitOps(environment string) Purpose { return Purpose(gitops + environment) }

// State reads and writes the Terraform state of an environment.
func State(environment string) Purpose { return Purpose(state + environment) }

// Releases is the environment whose overlays the account changes; empty where it is no
// GitOps.
func (p Purpose) Releases() string {
	environment, is := strings.CutPrefix(string(p), gitops)
	if !is {
		return ""
	}
	return environment
}

// Purposes are all of a sandbox with these environments.
func Purposes(environments ...string) []Purpose {
	all := []Purpose{Images, Database, Toolbox, Platform}
	for _, environment := range environments {
		all = append(all, GitOps(environment), State(environment))
	}
	return all
}

// Account is a name and a password.
type Account struct {
	Username string `json:"username"`
	Password string `json:"password"`
}

// Accounts are the accounts of a sandbox, or some of them. None at all means a sandbox
// that everybody may write to.
type Accounts map[Purpose]Account

// Load is Read that adds what is missing, with random passwords. It takes out what is of
// no purpose any more, such as the accounts for every environment that there were once.
func Load(file string, environments ...string) (Accounts, error) {
	for _, environment := range environments {
		if environment == "" || strings.Contains(environment, "/") {
			return nil, fmt.Errorf("%q is not the name of an environment", environment)
		}
	}
	all, err := Read(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	was := len(all)
	kept := Accounts{}
	for purpose, account := range all {
		if slices.Contains(Purposes(), purpose) || strings.Contains(string(purpose), "/") {
			kept[purpose] = account
		}
	}
	changed := len(kept) != was
	// The names tell this sandbox's accounts from another one's.
	suffix := "-" + strings.ToLower(rand.Text()[:8])
	for _, purpose := range Purposes(environments...) {
		if _, there := kept[purpose]; !there {
			kept[purpose] = Account{Username: strings.ReplaceAll(string(purpose), "/", "-") + suffix, Password: rand.Text()}
			changed = true
		}
	}
	if !changed {
		return kept, nil
	}
	return kept, kept.write(file)
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
	for purpose, account := range a {
		if account.Username == "" || account.Password == "" {
			return nil, fmt.Errorf("%s has no name or no password for %q: remove it, and the next start makes another", file, purpose)
		}
	}
	return a, nil
}

// Of are the accounts that a job for an environment needs.
func (a Accounts) Of(environment string) (Accounts, error) {
	some := Accounts{}
	for _, purpose := range []Purpose{Images, GitOps(environment), State(environment)} {
		account, there := a[purpose]
		if !there {
			return nil, fmt.Errorf("there is no account for %s: start the sandbox with that environment", purpose)
		}
		some[purpose] = account
	}
	return some, nil
}

// write makes a file that only its owner may read.
func (a Accounts) write(file string) error {
	content, err := json.Marshal(a)
	if err != nil {
		return err
	}
	temporary := file + ".new"
	if err := os.WriteFile(temporary, content, 0o600); err != nil {
		return err
	}
	return os.Rename(temporary, file)
}

// whose is the key of a request's purpose in its context.
type whose struct{}

// Who is the purpose of the account that Protect has let a request through for; empty for
// nobody's.
func Who(ctx context.Context) Purpose {
	purpose, _ := ctx.Value(whose{}).(Purpose)
	return purpose
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
		may := needed(r)
		switch {
		case !known, who == "" && may != nil:
			w.Header().Set("WWW-Authenticate", `Basic realm="slipway-sandbox"`)
			http.Error(w, "an account of the sandbox is needed", http.StatusUnauthorized)
		case may != nil && !may(who):
			http.Error(w, fmt.Sprintf("the account %s is not for this", who), http.StatusForbidden)
		default:
			next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), whose{}, who)))
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

// needed is whose account may make a request; nil for everybody. What is not known to be
// a read is a write.
func needed(r *http.Request) func(Purpose) bool {
	only := func(purpose Purpose) func(Purpose) bool {
		return func(who Purpose) bool { return who == purpose }
	}
	read := r.Method == http.MethodGet || r.Method == http.MethodHead
	part, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	switch part {
	case "v2":
		repository, _, named := strings.Cut(rest, "/")
		switch {
		case !named:
			// The registry itself, where clients ask whether they need an account,
			// and its list of repositories.
			return func(Purpose) bool { return true }
		case read:
			return nil
		case repository == "slipway":
			return only(Database)
		case repository == "toolbox" || repository == "node":
			return only(Toolbox)
		}
		return only(Images)
	case "gitops.git":
		pushes := rest == "info/refs" && r.URL.Query().Get("service") != "git-upload-pack"
		if read && !pushes || r.Method == http.MethodPost && rest == "git-upload-pack" {
			return nil
		}
		// What each may push is the remote's to say.
		return func(who Purpose) bool { return who == Platform || who.Releases() != "" }
	case "state":
		if _, environment, named := strings.Cut(rest, "/"); named && !strings.Contains(environment, "/") {
			return only(State(environment))
		}
	}
	return only(Platform)
}
