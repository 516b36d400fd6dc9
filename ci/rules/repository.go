package rules

import (
	"slices"
	"strings"
)

// RequireRepository is that a registered app was built by its own repository. It holds
// everywhere and always, so no rule of slipway.yaml names it.
const RequireRepository Kind = "repository"

// Foreign is the outcome for the image of a registered app that only jobs of other
// repositories say they have built, by the certificates that they signed with. What a
// key signed names no repository.
func (in Evidence) Foreign() []Outcome {
	if in.Repository == "" {
		return nil
	}
	var others []string
	for _, p := range in.provenances() {
		switch {
		case p.Signer == nil || p.Signer.Repository == "":
		case sameRepository(p.Signer.Repository, in.Repository):
			return nil
		case !slices.Contains(others, p.Signer.Repository):
			others = append(others, p.Signer.Repository)
		}
	}
	if len(others) == 0 {
		return nil
	}
	return []Outcome{{
		Rule: RequireRepository, Verdict: Refuse, Reason: "it was built by " + strings.Join(others, ", ") + ", and not by " + in.Repository,
		Mend: "deliver it from the repository that slipway.yaml registers the app with; whoever may change that can name the other one",
	}}
}

// sameRepository compares addresses as clones write them, with or without .git.
func sameRepository(a, b string) bool {
	plain := func(s string) string { return strings.TrimSuffix(strings.TrimSuffix(s, "/"), ".git") }
	return plain(a) == plain(b)
}
