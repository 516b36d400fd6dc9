package rules

import (
	"encoding/json"
	"slices"
	"time"
)

// Identity is who may sign without a key.
type Identity struct {
	// Issuer is the URL of the OIDC issuer that the certificate must name.
	Issuer string `yaml:"issuer" json:"issuer"`
	// Subject is the certificate's subject alternative name, a URI or an e-mail
	// address; SubjectPattern is one in Go's syntax that all of the name matches.
	// One of the two is given.
	Subject        string `yaml:"subject" json:"subject,omitempty"`
	SubjectPattern string `yaml:"subjectPattern" json:"subjectPattern,omitempty"`
	// Environments that it may sign for; all of them when there is none.
	Environments []string `yaml:"environments" json:"environments,omitempty"`
}

// Identities are those that may sign; any one of those of an environment is enough.
type Identities []Identity

// Allowed are the identities that may sign for an environment, as the sign module
// reads them; without an environment, those that may for every one. It is empty
// when there is none.
func (all Identities) Allowed(env string) (string, error) {
	var allowed []Identity
	for _, identity := range all {
		if len(identity.Environments) == 0 || env != "" && slices.Contains(identity.Environments, env) {
			identity.Environments = nil
			allowed = append(allowed, identity)
		}
	}
	if len(allowed) == 0 {
		return "", nil
	}
	data, err := json.Marshal(allowed)
	return string(data), err
}

// Degraded is what happens when a log or timestamp authority is down: refuse, also when
// it is empty, or how long a signature counts that was made without it, in Go's
// notation.
type Degraded string

// DegradedRefuse signs nothing while a service is down, and accepts nothing that
// was signed so.
const DegradedRefuse Degraded = "refuse"

// The bounds of how long a degraded signature counts: those of the signing step.
const (
	leastDegraded = time.Minute
	mostDegraded  = 30 * 24 * time.Hour
)

// Accepts is how long a degraded signature counts, zero for never.
func (d Degraded) Accepts() time.Duration {
	accepts, _ := time.ParseDuration(string(d)) // zero for what is none
	if accepts < leastDegraded || accepts > mostDegraded {
		return 0
	}
	return accepts
}
