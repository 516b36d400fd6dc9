package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"slipway/ci/rules"
	"slipway/step"
)

// governed says whether a file is in a folder of the platform's, and not of an app's.
func governed(path string) bool {
	return pathPattern.MatchString(path) && (strings.HasPrefix(path, "gitops/") && !strings.HasPrefix(path, "gitops/apps/") || strings.HasPrefix(path, "infra/"))
}

// checkApprovers checks verification.approvers: each is one person, known in one way.
func (c *Config) checkApprovers() error {
	seen := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(c.Verification.Named)) {
		a := c.Verification.Named[name]
		at := File + ": verification.approvers"
		if err := step.Name(stage, at, name); err != nil {
			return err
		}
		at += "." + name
		known := []string{a.PublicKey}
		if a.PublicKey == "" {
			known = []string{a.Issuer + " " + a.Subject}
		}
		switch {
		case (a.PublicKey == "") == (a.Issuer == "" && a.Subject == ""):
			return step.Input(stage, at, "is known by nothing, or by a key and an identity", "give a publicKey, or an issuer and a subject")
		case a.PublicKey != "" && !governed(a.PublicKey):
			return step.Input(stage, fmt.Sprintf("%s.publicKey %q", at, a.PublicKey), "is not a path below gitops or infra that no app owns", "commit the key there, outside of gitops/apps, and name it")
		case a.PublicKey != "" && a.PublicKey == c.Signing.PublicKey:
			return step.Input(stage, fmt.Sprintf("%s.publicKey %q", at, a.PublicKey), "is the key that signs releases", "give the approver a key of their own: who delivers doesn't approve")
		case a.PublicKey == "":
			if err := validIdentity(rules.Identity{Issuer: a.Issuer, Subject: a.Subject}, "verification.approvers."+name, nil); err != nil {
				return err
			}
		}
		if len(a.Emails) == 0 {
			return step.Input(stage, at+".emails", "is empty", "give the addresses that their commits carry: who has authored something doesn't approve it")
		}
		for _, email := range a.Emails {
			if !goodEmail(email) {
				return step.Input(stage, fmt.Sprintf("%s.emails %.80q", at, email), "is not an e-mail address", "give the address that their commits carry")
			}
			known = append(known, strings.ToLower(email))
		}
		for _, one := range known {
			if other, ok := seen[one]; ok {
				return step.Input(stage, fmt.Sprintf("%s: %.200q", at, one), "is "+other+"'s, too", "name each person once: two names would be two approvals")
			}
			seen[one] = name
		}
	}
	return nil
}

// identityApproves says whether an approver is an identity, which the trusted root is
// needed for.
func (c *Config) identityApproves() bool {
	for _, a := range c.Verification.Named {
		if a.PublicKey == "" {
			return true
		}
	}
	return false
}
