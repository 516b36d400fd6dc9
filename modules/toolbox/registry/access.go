package registry

import (
	"cmp"
	"context"
	"flag"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"

	"slipway/step"
	"slipway/step/azure"
	"slipway/step/reach"
)

// Access is who asks a registry, and how it is reached.
type Access struct {
	// Stage is the stage that faults name.
	Stage string
	// Connections redirect logical addresses.
	Connections reach.Connections
	// Auth authenticates; nil is anonymous.
	Auth authn.Authenticator
	// Azure signs in to a registry of Azure's instead of Auth; nil does not.
	Azure *azure.Credential
	// Pause is the wait before the second try, and doubles after each; zero is half
	// a second.
	Pause time.Duration
	// Say reports progress; nil is silence.
	Say func(format string, args ...any)

	// rest waits; nil is the clock's.
	rest func(context.Context, time.Duration) error
}

// The flags of who asks.
const (
	usernameFlag = "username"
	passwordFlag = "registry-password-file"
)

// Flags are those of a subcommand that speaks with a registry.
type Flags struct {
	connect            func(stage string) (reach.Connections, error)
	username, password *string
	say                func(format string, args ...any)
}

// AddFlags adds --connect, --username and --registry-password-file. say reports
// progress: a registry that asks for it is left alone for minutes.
func AddFlags(set *flag.FlagSet, say func(format string, args ...any)) *Flags {
	return &Flags{
		say:      say,
		connect:  reach.Flag(set, "connect", "where the registry's host:port is reached"),
		username: set.String(usernameFlag, "", "user name at the registry, or an Azure identity as JSON; absent means anonymous"),
		password: set.String(passwordFlag, "", "file with the registry's password or token, or the identity's request token"),
	}
}

// Access reads the flags' values; nothing is sent yet.
func (f *Flags) Access(stage string) (Access, error) {
	connections, err := f.connect(stage)
	if err != nil {
		return Access{}, err
	}
	a := Access{Stage: stage, Connections: connections, Say: f.say}
	return a, a.SignIn(*f.username, *f.password)
}

// SignIn says who asks: a user name and the file that holds the password or token;
// both empty is nobody. An Azure identity is a user name, too.
func (a *Access) SignIn(username, passwordFile string) (err error) {
	switch {
	case username == "" && passwordFile == "":
		return nil
	case username == "" || passwordFile == "":
		return step.Input(a.Stage, "--"+usernameFlag+" and --"+passwordFlag, "is one without the other", "give both, or neither for anonymous access")
	case azure.Is(username):
		a.Azure, err = azure.Open(a.Stage, username, passwordFile)
		return err
	}
	password, err := reach.Password(a.Stage, "--"+passwordFlag, passwordFile)
	if err != nil {
		return err
	}
	a.Auth = &authn.Basic{Username: username, Password: password}
	return nil
}

// authenticator is who asks a registry.
func (a *Access) authenticator(host string) authn.Authenticator {
	if a.Azure != nil {
		return azureLogin{a.Azure, host}
	}
	return cmp.Or(a.Auth, authn.Anonymous)
}

// Report says how far something is.
func (a *Access) Report(format string, args ...any) {
	if a.Say != nil {
		a.Say(format, args...)
	}
}

func (a *Access) wait(ctx context.Context, d time.Duration) error {
	if a.rest != nil {
		return a.rest(ctx, d)
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// azureLogin signs in to a registry of Azure's each time that it is asked who it
// is: what it answered before may have grown old.
type azureLogin struct {
	*azure.Credential
	host string
}

// Authorization is authn.Authenticator's.
func (l azureLogin) Authorization() (*authn.AuthConfig, error) {
	return l.AuthorizationContext(context.Background())
}

// AuthorizationContext is authn.ContextAuthenticator's.
func (l azureLogin) AuthorizationContext(ctx context.Context) (*authn.AuthConfig, error) {
	username, password, err := l.Password(ctx, l.host)
	return &authn.AuthConfig{Username: username, Password: password}, err
}
