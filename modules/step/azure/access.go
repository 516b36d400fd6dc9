package azure

import (
	"flag"

	"slipway/step"
)

// Access says who somebody is in Azure.
type Access struct {
	// Identity is an Identity as JSON; empty is nobody.
	Identity string
	// Token is the file that Open's credential reads its token from.
	Token string
}

// Flags adds --azure and --azure-token-file.
func (a *Access) Flags(set *flag.FlagSet) {
	set.StringVar(&a.Identity, "azure", "", "who is asking in Azure, as JSON")
	set.StringVar(&a.Token, "azure-token-file", "", "file with the token that it proves itself with, or that such tokens are requested with")
}

// Open is the identity's credential; nil when there is none.
func (a Access) Open(stage string) (*Credential, error) {
	switch {
	case a.Identity != "":
		return Open(stage, a.Identity, a.Token)
	case a.Token != "":
		return nil, step.Input(stage, "--azure", "is missing, but its token is given", "give the identity as JSON, or leave its token out")
	}
	return nil, nil
}
