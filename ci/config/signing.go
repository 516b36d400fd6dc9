package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"slipway/ci/rules"
	"slipway/step"
)

// EnvironmentSigning is what holds for signatures in one environment.
type EnvironmentSigning struct {
	// Degraded is what happens when a log or timestamp authority is down: refuse,
	// also when it is empty, or how long a signature counts that was made
	// without it, in Go's notation.
	Degraded rules.Degraded `yaml:"degraded"`
	// PublicKey is the path of the key that a signature must match here; empty for
	// signing.publicKey.
	PublicKey string `yaml:"publicKey"`
}

func (e EnvironmentSigning) validate(at string) error {
	if e.Degraded == "" || e.Degraded == rules.DegradedRefuse || e.Degraded.Accepts() != 0 {
		return nil
	}
	return step.Input(stage, fmt.Sprintf("%s: %s.degraded %q", File, at, e.Degraded), "is neither refuse nor a duration of a minute to 30 days",
		"use refuse, or say how long a signature counts that was made while a log was down, such as 24h")
}

// sources are the folders that a call takes from the repository, besides File.
var sources = []string{"apps/", "gitops/", "infra/"}

func taken(path string) bool {
	return slices.ContainsFunc(sources, func(folder string) bool { return strings.HasPrefix(path, folder) })
}

// checkKey checks the path of a public key, if there is one.
func checkKey(at, key string) error {
	at = fmt.Sprintf("%s: %s.publicKey %q", File, at, key)
	switch {
	case key == "":
		return nil
	case !pathPattern.MatchString(key):
		return step.Input(stage, at, "is not a path inside the repository", "give a relative path, or leave it out")
	case !taken(key):
		return step.Input(stage, at, "is not a path below apps, gitops or infra", "commit the key there, and name it, or leave it out")
	}
	return nil
}

// validate checks it; needed says that approvers need the trusted root, too.
func (s Signing) validate(at string, environments []string, needed bool) error {
	fault := func(key, reason, mend string) error {
		return step.Input(stage, File+": "+at+key, reason, mend)
	}
	if err := checkKey(at, s.PublicKey); err != nil {
		return err
	}
	const howMany = "say how many must vouch for a signature, 0 for a Sigstore without"
	switch {
	case s.Logs < 0:
		return fault(".logs", "is negative", howMany)
	case s.CertificateLogs < 0:
		return fault(".certificateLogs", "is negative", howMany)
	}
	switch {
	case len(s.Identities) == 0 && !needed && s.TrustedRoot != "":
		return fault(".trustedRoot", "is given without identities", "name who may sign in "+at+".identities, or take it out")
	case len(s.Identities) == 0 && !needed:
		return nil
	case len(s.Identities) > 0 && s.PublicKey != "":
		return fault(".publicKey", "is given beside identities", "decide for one: a key's signature doesn't count where identities sign")
	}
	if !pathPattern.MatchString(s.TrustedRoot) || !taken(s.TrustedRoot) {
		return fault(fmt.Sprintf(".trustedRoot %q", s.TrustedRoot), "is not a path below apps, gitops or infra", "commit the Sigstore's trusted_root.json there, and name it")
	}
	for n, identity := range s.Identities {
		if err := validIdentity(identity, fmt.Sprintf("%s.identities[%d]", at, n), environments); err != nil {
			return err
		}
	}
	return nil
}

func validIdentity(i rules.Identity, at string, environments []string) error {
	at = File + ": " + at
	if !cleanURL(i.Issuer) || !strings.HasPrefix(i.Issuer, "https:") || unclear(i.Issuer) {
		return step.Input(stage, fmt.Sprintf("%s.issuer %q", at, i.Issuer), "is not an https URL without credentials", "give the OIDC issuer, such as https://token.actions.githubusercontent.com")
	}
	if (i.Subject == "") == (i.SubjectPattern == "") {
		return step.Input(stage, at+".subject", "is missing, or given beside subjectPattern", "give one of the two: a name counts only whole")
	}
	if unclear(i.Subject + i.SubjectPattern) {
		return step.Input(stage, fmt.Sprintf("%s.subject %q", at, i.Subject+i.SubjectPattern), "holds spaces or control characters", "give the certificate's subject alternative name, a URI or an e-mail address")
	}
	if _, err := regexp.Compile(i.SubjectPattern); err != nil {
		return step.Input(stage, fmt.Sprintf("%s.subjectPattern %q", at, i.SubjectPattern), "is not a pattern", "write it in Go's syntax of regular expressions").Because(err)
	}
	if i.Environments != nil && len(i.Environments) == 0 {
		return step.Input(stage, at+".environments", "is an empty list, and without one it may sign for all", "name those that it may sign for, or leave the list out")
	}
	for _, env := range i.Environments {
		if !slices.Contains(environments, env) {
			return step.Input(stage, fmt.Sprintf("%s.environments %q", at, env), "is not an environment", "use one of "+strings.Join(environments, ", "))
		}
	}
	return nil
}

func unclear(text string) bool {
	return strings.ContainsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) })
}

// Named reports whether it says who must have signed.
func (s Signing) Named() bool { return s.PublicKey != "" || len(s.Identities) > 0 }
