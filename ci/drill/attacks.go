package drill

import (
	"fmt"
	"strconv"

	"golang.org/x/sync/errgroup"

	"slipway/step"
)

// The identities of a drill: whose signature counts there, and somebody else.
const (
	Issuer   = "https://issuer.drill.example"
	Rightful = "release@drill.example"
	Stranger = "stranger@drill.example"
)

// Attacks, each with the gate that has to stop it. Those of what an app brings along
// are BoxAttacks.
var (
	VulnerableImage  = refusedBy("scan", "vulnerable image", Vulnerability)
	SecretInSource   = refusedBy("scan", "secret in the source", "secret: ")
	StaleDatabase    = refusedBy("scan", "stale database", "is stale")
	ForeignDatabase  = refusedBy("scan", "newer database that nobody signed", "has no signature")
	ExpiredException = refusedBy("scan", "expired exception", "expired on")
	InlineIgnore     = refusedBy("scan", "inline ignore in another order", "SLIPWAY-INLINE-IGNORE")

	// What an app says of its own vulnerability. The control's statement excepts it.
	VEXOfAnother = refusedBy("scan", "OpenVEX statement about another package", Vulnerability)
	VEXEnded     = refusedBy("scan", "OpenVEX statement that a newer one ends", Vulnerability)
	VEXToCome    = Attack{"scan", "OpenVEX statement of the future", Expected{"config", step.KindInput, "lies in the future"}}

	OtherBytes = refusedBy("publish", "other bytes under the scanned digest", "not just")
	// The scan's verdict is about another image, so what reads the verdict stops it.
	OtherImage = Attack{"publish", "another image under a scan that passed", Expected{"scan", step.KindPolicy, "the findings are about"}}

	// NothingSigned stands for all that follow where the good image was not signed.
	NothingSigned = refusedBy("sign", "none", "")
	ImageByTag    = Attack{"sign", "image named by tag", Expected{"sign", step.KindInput, "is not a reference by digest"}}

	Unsigned = refusedBy("verify", "unsigned image", "no signature")
	MovedTag = refusedBy("verify", "tag moved between scan and sign", "no signature")
	OtherKey = refusedBy("verify", "signed by another key", "has no valid signature by key")
	// OtherEnvironmentsKey, OtherOverlay and OtherEnvironmentsState are what somebody does
	// who has a runner of one environment, and all that it holds.
	OtherEnvironmentsKey = refusedBy("verify", "signed with another environment's key", "has no valid signature by key")
	OtherIdentity        = refusedBy("verify", "signed by another identity", "has no valid signature by identity "+strconv.Quote(Rightful))
	Grafted              = refusedBy("verify", "attestations of another image", "scan verdict of %s is missing")
	OtherType            = refusedBy("verify", "scan under another predicate type", "scan verdict of %s is missing")
	Replayed             = refusedBy("verify", "old release replayed", "older than")
	FlippedBit           = refusedBy("verify", "flipped bit in a manifest", "the registry serves other bytes")
	Revoked              = refusedBy("verify", "revoked image", "it was revoked by drill at")
	Unapproved           = refusedBy("verify", "approved by another key", "0 of 1 approvals count")

	HostileOverlay = refusedBy("release", "privileged sidecar in the overlay at the remote", "KSV-0017")
	StrangeImage   = refusedBy("release", "init container that nobody has verified", "would run images that nothing vouches for")
	OldRollback    = Attack{"release", "rollback of a release that runs no more", Expected{"release", step.KindInput, "rollback-of %s"}}
	OlderRun       = refusedBy("release", "older run after a newer release", "was released by commit %s, before what runs now")

	OtherOverlay           = Attack{"release", "push to another environment's overlay with this one's account", Expected{"release", step.KindPolicy, "the account gitops/%s may change nothing but"}}
	OtherEnvironmentsState = Attack{"plan", "another environment's state with this one's account", Expected{"plan", step.KindInput, "refuses these credentials"}}

	OtherState     = refusedBy("plan", "data source that sends the state's credentials", "terraform_remote_state")
	TamperedPlan   = refusedBy("apply", "tampered plan", "is not the plan that was bound")
	DestroyingPlan = refusedBy("check", "plan with a destroy", "destroys, replaces or forgets")

	UnsignedPod = Attack{"admission", "pod of an image that nobody signed", Expected{"admit", step.KindPolicy, "the cluster refuses its pods"}}
	NeverRuns   = Attack{"wait", "release that does not come to run", Expected{"wait", step.KindInfrastructure, "is not healthy in time"}}
)

func refusedBy(gate, name, says string) Attack {
	return Attack{gate, name, Expected{gate, step.KindPolicy, says}}
}

// Of is the attack on something that is known only now, which the refusal has to name
// where Says has a %s.
func (a Attack) Of(what string) Attack {
	a.Expected.Says = fmt.Sprintf(a.Expected.Says, what)
	return a
}

// AtOnce is how many attacks are made at the same time: each waits for containers more
// than it computes.
const AtOnce = 4

// Make makes attempts, and tells what became of them in their order.
func Make(attempts []func() Result) Table {
	table := make(Table, len(attempts))
	var group errgroup.Group
	group.SetLimit(AtOnce)
	for n, attempt := range attempts {
		group.Go(func() error {
			table[n] = attempt()
			return nil
		})
	}
	_ = group.Wait() // a row tells what went wrong
	return table
}
