// Package infra has the results of the program that drives Terraform. Digests are
// "sha256:<hex>".
package infra

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
)

// Program is an executable that plans and applies.
type Program struct {
	// Name is Terraform or OpenTofu, or the import path of another program that says
	// that it is one of them.
	Name string `json:"name"`
	// Version is what it says of itself.
	Version string `json:"version"`
	// SHA256 is sha256:<hex> of the file.
	SHA256 string `json:"sha256"`
}

func (p Program) String() string { return p.Name + " " + p.Version + " (" + p.SHA256 + ")" }

// Allowed is what Terraform code may use of what runs as soon as it is planned, which is
// before a plan can be checked: with the credentials of its state and providers.
type Allowed struct {
	// Providers are the full addresses of providers, each with the arguments and blocks
	// that the code's provider blocks may have. Terraform's own needs none.
	Providers map[string][]string `json:"providers"`
	// Data are the types of the data sources and ephemeral resources.
	Data []string `json:"data"`
	// Provisioners are their types, such as local-exec. They run while applying.
	Provisioners []string `json:"provisioners"`
}

// DefaultAllowed holds where a platform says nothing else. No argument in it says where
// a provider sends what, as whom, or what it starts.
var DefaultAllowed = Allowed{Providers: map[string][]string{
	"registry.terraform.io/hashicorp/azurerm":   {"features", "resource_provider_registrations", "storage_use_azuread"},
	"registry.terraform.io/gavinbunney/kubectl": {},
}, Data: []string{}, Provisioners: []string{}}

// OtherState is the data source that reads another environment's state. It is never
// allowed.
const OtherState = "terraform_remote_state"

// Code is what a plan is made of: the root and the modules that it reaches.
type Code struct {
	// Digest is of the files, as a plan is bound to it.
	Digest string `json:"digest"`
}

// Binding says what a plan was made for.
type Binding struct {
	// PlanSHA256 is the digest of the plan file, CodeSHA256 that of the code.
	PlanSHA256  string `json:"planSha256"`
	CodeSHA256  string `json:"codeSha256"`
	Environment string `json:"environment"`
	// StateAddress is the logical address of the state that was planned on.
	StateAddress string `json:"stateAddress"`
	// Program is what planned.
	Program Program `json:"program"`
	// Lineage and Serial are the state's before the plan was made; a state
	// that does not exist yet has "" and 0.
	Lineage string `json:"lineage"`
	Serial  uint64 `json:"serial"`
}

// Planned is a saved plan.
type Planned struct {
	Binding Binding `json:"binding"`
	Summary Summary `json:"summary"`
}

// Effect is the digest, sha256:…, of what the plan would do to which state by which code:
// another plan that would do the same has it, too, whoever has made it and when.
func (p Planned) Effect() string {
	p.Binding.PlanSHA256, p.Binding.Program, p.Summary.Warnings = "", Program{}, nil
	data, err := json.Marshal(p)
	if err != nil {
		panic(err) // what was decoded always encodes
	}
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// Summary is what a plan would do. It holds no sensitive value.
type Summary struct {
	// Changes is false when applying the plan would change nothing.
	Changes bool `json:"changes"`
	// The counts are of resource instances; each is in exactly one of them.
	Create  int `json:"create"`
	Update  int `json:"update"`
	Delete  int `json:"delete"`
	Replace int `json:"replace"`
	Read    int `json:"read"`
	Forget  int `json:"forget"`
	NoOp    int `json:"noop"`
	// Resources are the instances that change, in the order of their address.
	Resources []Resource `json:"resources"`
	// Outputs are the outputs that change, in the order of their name.
	Outputs []OutputChange `json:"outputs"`
	// Drift are the addresses of what was changed outside of Terraform.
	Drift []string `json:"drift"`
	// Warnings are Terraform's, one line each.
	Warnings []string `json:"warnings"`
}

// Resource is one instance that a plan changes.
type Resource struct {
	Address string `json:"address"`
	Type    string `json:"type"`
	// Actions are Terraform's: no-op, create, read, update, delete, forget;
	// a replacement is delete and create in the order in which they happen.
	Actions []string `json:"actions"`
	// Importing is true when an existing object is taken over.
	Importing bool `json:"importing,omitempty"`
	// MovedFrom is the instance's address before, when that changed.
	MovedFrom string `json:"movedFrom,omitempty"`
	// Before and After are the instance's values, with each sensitive one
	// redacted. After lacks what is known only after apply.
	Before any `json:"before,omitempty"`
	After  any `json:"after,omitempty"`
}

// OutputChange is one root output that a plan changes.
type OutputChange struct {
	Name    string   `json:"name"`
	Actions []string `json:"actions"`
	// Sensitive outputs have neither Before nor After.
	Sensitive bool `json:"sensitive,omitempty"`
	Before    any  `json:"before,omitempty"`
	After     any  `json:"after,omitempty"`
}

// Judged is a policy's verdict on code. It is only made for code that passed.
type Judged struct {
	// CodeSHA256 is the digest of the code, as a plan is bound to it.
	CodeSHA256 string `json:"codeSha256"`
	// PolicyDigest is of the policy that decided, and Threshold the lowest severity of
	// a misconfiguration that refuses.
	PolicyDigest string `json:"policyDigest"`
	Threshold    string `json:"threshold"`
}

// Checked is the check's verdict on one plan. It is only made for a plan that
// passed.
type Checked struct {
	PlanSHA256   string `json:"planSha256"`
	CodeSHA256   string `json:"codeSha256"`
	Environment  string `json:"environment"`
	StateAddress string `json:"stateAddress"`
	// AllowDestroy says that destroys were explicitly allowed, Destroys which
	// addresses the plan destroys, replaces or forgets.
	AllowDestroy bool     `json:"allowDestroy"`
	Destroys     []string `json:"destroys"`
	// PolicyDigest is of the policy that let the code pass, and Threshold the lowest
	// severity of a misconfiguration that refuses.
	PolicyDigest string `json:"policyDigest"`
	Threshold    string `json:"threshold"`
}

// CheckedPlan is a plan that may be applied.
type CheckedPlan struct {
	Checked Checked `json:"checked"`
	Summary Summary `json:"summary"`
}

// Output is one root output of a state.
type Output struct {
	Sensitive bool `json:"sensitive"`
	// Type is the value's in Terraform's JSON type notation.
	Type json.RawMessage `json:"type"`
	// Value is absent when the output is sensitive.
	Value json.RawMessage `json:"value,omitempty"`
}

// Applied is a plan that was applied.
type Applied struct {
	Environment string `json:"environment"`
	PlanSHA256  string `json:"planSha256"`
	// Summary is of the plan that was applied.
	Summary Summary `json:"summary"`
	// Outputs are the state's after the apply, by name.
	Outputs map[string]Output `json:"outputs"`
	// Lineage and Serial are the state's after the apply.
	Lineage string `json:"lineage"`
	Serial  uint64 `json:"serial"`
}

// Outputs are a state's.
type Outputs struct {
	Environment string            `json:"environment"`
	Outputs     map[string]Output `json:"outputs"`
	Lineage     string            `json:"lineage"`
	Serial      uint64            `json:"serial"`
}

// DriftReport is what a look for drift has seen.
type DriftReport struct {
	Environment  string `json:"environment"`
	StateAddress string `json:"stateAddress"`
	// Applied is false when the code has resources and the state none.
	Applied bool `json:"applied"`
	// Pending is what the code says since, or was left undone: how the state
	// differs from it.
	Pending []string `json:"pending"`
	// Drifted says whether Resources has any.
	Drifted bool `json:"drifted"`
	// Resources are what was changed outside of Terraform.
	Resources []Drift `json:"resources"`
	// Lineage and Serial are the state's.
	Lineage string `json:"lineage"`
	Serial  uint64 `json:"serial"`
}

// Drift is one instance that was changed outside of Terraform since the state
// was last stored.
type Drift struct {
	Address string `json:"address"`
	Type    string `json:"type"`
	// Action is what was done to it: update, or delete when it is gone.
	Action string `json:"action"`
	// Attributes are what differs, in the order of their path; none when it is
	// gone.
	Attributes []Attribute `json:"attributes"`
}

// Attribute is one value that differs. A sensitive one is redacted before and
// after.
type Attribute struct {
	// Path is where, such as metadata[0].labels.team.
	Path   string          `json:"path"`
	Before json.RawMessage `json:"before"`
	After  json.RawMessage `json:"after"`
}

// Unlocked is a state whose lock was given back.
type Unlocked struct {
	StateAddress string `json:"stateAddress"`
	ID           string `json:"id"`
}
