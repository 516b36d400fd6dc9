package rules

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"slipway/ci/evidence"
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
func proves(s *sign.Signer, r evidence.Runner) bool {
	switch {
	case r == evidence.RunnerLocal:
		return true
	case s == nil:
		return false
	case r == evidence.RunnerGitHub:
		return s.Issuer == githubIssuer
	case r == evidence.RunnerAzure:
		return devopsIssuer.MatchString(s.Issuer) || entraIssuer.MatchString(s.Issuer) && strings.HasPrefix(s.Identity, connectionSubject)
	}
	return false
}

// builder is the builder's name, and whether it is the one that a rule asks for: what
// provenance says counts only where the signature proves it, or where a machine that
// nothing is known about would do.
func builder(p evidence.SignedProvenance, allowed []evidence.Runner) (said, reason, mend string) {
	const signed = "sign it there as the job's own identity, by with-identity"
	id := p.RunDetails.Builder.ID
	n := slices.IndexFunc(evidence.Runners, func(r evidence.Runner) bool { return r.Builder() == id })
	proven := n >= 0 && proves(p.Signer, evidence.Runners[n])
	said = id
	if !proven {
		said += ", which no identity proves"
	}
	switch {
	case len(allowed) == 0 || n >= 0 && slices.Contains(allowed, evidence.Runners[n]) && (proven || slices.Contains(allowed, evidence.RunnerLocal)):
		return said, "", ""
	case n >= 0 && slices.Contains(allowed, evidence.Runners[n]):
		return said, "it was built by " + said, signed
	}
	return said, "it was built by " + said, fmt.Sprintf("build it on one of %v, and %s", allowed, signed)
}
