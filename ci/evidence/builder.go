package evidence

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"slipway/step/result/sign"
)

// The issuers of the tokens of CI systems. An Entra tenant issues those of Azure DevOps'
// service connections as well as those of people, who have other subjects.
// https://docs.github.com/actions/reference/security/oidc
// https://learn.microsoft.com/azure/devops/pipelines/release/configure-workload-identity
var (
	githubIssuer = "https://token.actions.githubusercontent.com"
	devopsIssuer = regexp.MustCompile(`\Ahttps://vstoken\.dev\.azure\.com/[0-9a-f-]{36}\z`)
	entraIssuer  = regexp.MustCompile(`\Ahttps://login\.microsoftonline\.com/[0-9a-f-]{36}/v2\.0\z`)
)

const connectionSubject = "/eid1/"

// proves says whether the token that the signer had was one of a runner's jobs. A key
// proves nothing: whoever holds it can name any builder.
func proves(s *sign.Signer, r Runner) bool {
	switch {
	case r == RunnerLocal:
		return true
	case s == nil:
		return false
	case r == RunnerGitHub:
		return s.Issuer == githubIssuer
	case r == RunnerAzure:
		return devopsIssuer.MatchString(s.Issuer) || entraIssuer.MatchString(s.Issuer) && strings.HasPrefix(s.Identity, connectionSubject)
	}
	return false
}

// attestedBuild is provenance, and who signed it.
type attestedBuild struct {
	Provenance
	signer *sign.Signer
}

// builder is the builder's name, and whether it is the one that a rule asks for: what
// provenance says counts only where the signature proves it, or where a machine that
// nothing is known about would do.
func (b attestedBuild) builder(allowed []Runner) (said, reason, mend string) {
	const signed = "sign it there as the job's own identity, by with-identity"
	id := b.RunDetails.Builder.ID
	n := slices.IndexFunc(runners, func(r Runner) bool { return r.Builder() == id })
	proven := n >= 0 && proves(b.signer, runners[n])
	said = id
	if !proven {
		said += ", which no identity proves"
	}
	switch {
	case len(allowed) == 0 || n >= 0 && slices.Contains(allowed, runners[n]) && (proven || slices.Contains(allowed, RunnerLocal)):
		return said, "", ""
	case n >= 0 && slices.Contains(allowed, runners[n]):
		return said, "it was built by " + said, signed
	}
	return said, "it was built by " + said, fmt.Sprintf("build it on one of %v, and %s", allowed, signed)
}
