// Package embedded sets up the embedded default of a checkout: an engine, a
// registry, a Git remote and a Terraform state backend on this machine, a
// signing key and a vulnerability database. Everything is made once, kept below
// .slipway, and found again by the next run.
package embedded

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"slipway/embedded/session"
	"slipway/engine"
)

// databaseAge is how old the demo's vulnerability database gets before it is
// made again; the pipeline refuses one older than slipway.yaml says.
const databaseAge = 12 * time.Hour

// envMark is the first line of the .env that the set-up makes.
const envMark = "# Made by the set-up of the embedded default; arguments of dagger call win.\n"

// Platform is the embedded default of one checkout.
type Platform struct {
	Launcher *engine.Launcher
	Progress *engine.Progress
	// Toolbox is programs to pull instead of compiling them.
	Toolbox Toolbox

	// address is where the sandbox listens, once Up has returned; prefer is where it
	// should, sandboxAddress unless said.
	address, prefer string
}

func (p *Platform) path(parts ...string) string {
	return filepath.Join(append([]string{p.Launcher.Repo, ".slipway"}, parts...)...)
}

// Up sets up what is missing and starts what does not run.
func (p *Platform) Up(ctx context.Context) error {
	if err := p.checkout(); err != nil {
		return err
	}
	if err := p.Launcher.Setup(ctx); err != nil {
		return err
	}
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() error { return p.Launcher.Up(groupCtx) })
	var address string
	group.Go(func() error {
		if err := p.buildSandbox(groupCtx); err != nil {
			return err
		}
		var err error
		address, err = p.startSandbox(groupCtx)
		return err
	})
	if err := group.Wait(); err != nil {
		return err
	}
	if err := p.key(ctx); err != nil {
		return err
	}
	p.address = address
	if err := p.defaults(address); err != nil {
		return err
	}
	return p.database(ctx, address)
}

// checkout refuses a folder that Git does not know: Dagger reads a module from a
// repository, and provenance names a commit of it.
func (p *Platform) checkout() error {
	if _, err := os.Stat(filepath.Join(p.Launcher.Repo, ".git")); err != nil {
		return fmt.Errorf("%s is not the root of a Git checkout: %w\n  mend: clone the repository; an unpacked archive names no commit", p.Launcher.Repo, err)
	}
	return nil
}

// Down stops the cluster, the sandbox and the engine; data and caches stay.
func (p *Platform) Down(ctx context.Context) error {
	if err := p.ClusterDown(ctx); err != nil {
		return err
	}
	return errors.Join(p.StopSandbox(ctx), p.Launcher.Down(ctx))
}

// accounts is the file that says who may write to the sandbox.
func (p *Platform) accounts() string { return p.path("sandbox", "data", "accounts.json") }

// account is who writes to a part of the sandbox.
type account struct{ Username, Password string }

// account is the sandbox's account for a purpose.
func (p *Platform) account(purpose string) (account, error) {
	content, err := os.ReadFile(p.accounts())
	if err != nil {
		return account{}, err
	}
	var accounts map[string]account
	if err := json.Unmarshal(content, &accounts); err != nil || accounts[purpose].Password == "" {
		return account{}, fmt.Errorf("%s has no account for %s: stop the sandbox, and the next start adds it; if it can't, remove the file", p.accounts(), purpose)
	}
	return accounts[purpose], nil
}

// seed fills the sandbox's Git remote with a GitOps tree.
func (p *Platform) seed(ctx context.Context, address, tree string, more ...string) error {
	return p.run(ctx, p.Sandbox(), append([]string{
		"seed", "--gitops", tree, "--url", "http://" + address + "/gitops.git", "--accounts", p.accounts(),
	}, more...)...)
}

// key makes the demo's key pair, once.
func (p *Platform) key(ctx context.Context) error {
	if _, err := os.Stat(p.path("keys", "cosign.key")); err == nil {
		return nil
	}
	if err := os.MkdirAll(p.path("keys"), 0o700); err != nil {
		return err
	}
	password := p.path("keys", "password")
	if _, err := os.Stat(password); errors.Is(err, fs.ErrNotExist) {
		if err := os.WriteFile(password, []byte(rand.Text()), 0o600); err != nil {
			return err
		}
	}
	return p.Progress.Do("make the demo's signing key", func() error {
		return p.Dagger(ctx, nil, "-m", "modules/sign", "call", "keygen", "--password", "file:"+password, "export", "--path", p.path("keys"))
	})
}

// defaults writes .env, from which the dagger CLI takes arguments that are not
// given. A file that somebody else wrote is left alone.
func (p *Platform) defaults(address string) error {
	file := filepath.Join(p.Launcher.Repo, ".env")
	old, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err == nil && !strings.HasPrefix(string(old), envMark) {
		p.Progress.Say(".env is yours and is left alone; the embedded default is reached with --sandbox tcp://%s --accounts file://%s --database-key %s", address, p.accounts(), p.path("keys", "cosign.pub"))
		return nil
	}
	var b strings.Builder
	b.WriteString(envMark)
	fmt.Fprintf(&b, "SLIPWAY_SANDBOX=tcp://%s\n", address)
	fmt.Fprintf(&b, "SLIPWAY_ACCOUNTS=file://%s\n", p.accounts())
	fmt.Fprintf(&b, "SLIPWAY_KEY=file://%s\n", p.path("keys", "cosign.key"))
	fmt.Fprintf(&b, "SLIPWAY_KEYPASSWORD=file://%s\n", p.path("keys", "password"))
	fmt.Fprintf(&b, "SLIPWAY_DATABASEKEY=%s\n", p.path("keys", "cosign.pub"))
	cluster, err := p.cluster().Running()
	if err != nil {
		return err
	}
	if cluster {
		fmt.Fprintf(&b, "SLIPWAY_KUBECONFIG=file://%s\n", p.path("cluster", "kubeconfig"))
		fmt.Fprintf(&b, "SLIPWAY_KUBERNETES=tcp://localhost:%d\n", session.APIPort)
		fmt.Fprintf(&b, "SLIPWAY_PROVIDERS=%s\n", p.path("cluster", "providers"))
	}
	b.WriteString(p.Toolbox.settings(string(old), p.path("keys", "cosign.pub"), address))
	if terraform, err := exec.LookPath("terraform"); err == nil {
		fmt.Fprintf(&b, "SLIPWAY_TERRAFORM=%s\n", terraform)
	}
	if b.String() == string(old) {
		return nil
	}
	return os.WriteFile(file, []byte(b.String()), 0o600)
}

// database publishes the demo's vulnerability database, signed with the demo's key, when
// the registry's is older than databaseAge, or was never made or signed by that key.
func (p *Platform) database(ctx context.Context, address string) error {
	key, err := os.ReadFile(p.path("keys", "cosign.pub"))
	if err != nil {
		return err
	}
	// The mark holds the public key of who has signed.
	mark := p.path("sandbox", "database")
	if current(mark, key, time.Now()) {
		return nil
	}
	err = p.Progress.Do("build, sign and publish the demo's vulnerability database", func() error {
		return p.Dagger(ctx, nil, "call", "--sandbox", "tcp://"+address, "--accounts", "file://"+p.accounts(),
			"--key", "file://"+p.path("keys", "cosign.key"), "--key-password", "file://"+p.path("keys", "password"), "publish-database")
	})
	if err != nil {
		return err
	}
	return os.WriteFile(mark, key, 0o644)
}

// current says whether a mark tells of a database that the key has signed, and that is
// not to be made again yet.
func current(mark string, key []byte, now time.Time) bool {
	info, err := os.Stat(mark)
	if err != nil || now.Sub(info.ModTime()) >= databaseAge {
		return false
	}
	signer, err := os.ReadFile(mark)
	return err == nil && bytes.Equal(signer, key)
}
