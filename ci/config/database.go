package config

import (
	"fmt"
	"strings"
	"time"

	"slipway/ci/rules"
	"slipway/step"
)

// Database is the vulnerability database: an OCI artifact in Trivy's format.
type Database struct {
	// Repository is <host>[:port]/<path> of the artifact, without a tag.
	Repository string `yaml:"repository"`
	// Tag is the schema version that Trivy asks for; Trivy 0.74 reads "2".
	Tag string `yaml:"tag"`
	// MaxAge is the oldest database that may still decide, in Go's notation
	// ("48h").
	MaxAge time.Duration `yaml:"maxAge"`
	// Signing says who must have signed it. Where it names nobody, and there is neither
	// Digest nor Trust, that is the key of an argument, or who may sign releases for
	// every environment.
	Signing Signing `yaml:"signing"`
	// Digest pins the one artifact that may decide, sha256:…; Tag is not asked then.
	Digest string `yaml:"digest"`
	// Trust is rules.Unsigned for a database that nobody has to vouch for: whoever can
	// push the tag then decides every scan.
	Trust string `yaml:"trust"`
}

func (d Database) validate(at string) error {
	fault := func(key, value, reason, mend string) error {
		return step.Input(stage, fmt.Sprintf("%s: %s.%s %q", File, at, key, value), reason, mend)
	}
	switch {
	case !repositoryPattern.MatchString(d.Repository) || !strings.Contains(d.Repository, "/"):
		return fault("repository", d.Repository, "is not a repository", "give host[:port]/path without a tag")
	case !tagPattern.MatchString(d.Tag):
		return fault("tag", d.Tag, "is not a tag", "give the database's schema version, \"2\" for Trivy 0.74")
	case d.MaxAge <= 0:
		return fault("maxAge", d.MaxAge.String(), "is not a positive duration", "give how old the database may be, such as 48h")
	case d.Digest != "" && step.Digest(stage, "digest", d.Digest) != nil:
		return fault("digest", d.Digest, "is not a digest", "give the sha256:… of the one database that may decide, or leave it out")
	case d.Trust != "" && d.Trust != rules.Unsigned:
		return fault("trust", d.Trust, "is not a way to trust a database", "write "+rules.Unsigned+", or leave it out and say who signs it")
	case d.Digest != "" && d.Trust != "":
		return fault("trust", d.Trust, "is given beside digest", "decide for one")
	case d.Signing.Named() && d.Digest+d.Trust != "":
		return step.Input(stage, File+": "+at+".signing", "is given beside digest or trust", "decide for one")
	}
	for n, identity := range d.Signing.Identities {
		if len(identity.Environments) > 0 {
			return step.Input(stage, fmt.Sprintf("%s: %s.signing.identities[%d].environments", File, at, n), "means nothing for a database, which is one for all environments", "take it out")
		}
	}
	return d.Signing.validate(at+".signing", nil, false)
}
