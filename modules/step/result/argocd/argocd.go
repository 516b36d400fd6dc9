// Package argocd has the results of the program that asks a cluster and its Argo CD.
package argocd

// Outcome is how a wait ended.
type Outcome string

const (
	// Healthy is the release, live: synced, and found healthy after that.
	Healthy Outcome = "healthy"
	// Degraded is a release that was synced and does not work.
	Degraded Outcome = "degraded"
	// SyncFailed is a release that Argo CD could not apply.
	SyncFailed Outcome = "sync-failed"
	// Superseded is a release that a later commit replaced.
	Superseded Outcome = "superseded"
	// Deadline is a wait that took too long.
	Deadline Outcome = "deadline"
	// Lost is an API server that could not be asked any more.
	Lost Outcome = "lost"
	// Missing is an Application that is not there.
	Missing Outcome = "missing"
)

// Relation says how the synced revision relates to the release's commit.
type Relation string

const (
	// Exact is the release's commit itself.
	Exact Relation = "exact"
	// Later is a later commit of the GitOps repository.
	Later Relation = "later"
)

// Waited is how a wait ended.
type Waited struct {
	Outcome Outcome `json:"outcome"`
	// Relation is empty when no comparison with the release's image was seen.
	Relation    Relation `json:"relation"`
	Application string   `json:"application"`
	// Commit is the one that was asked for, Revision the one that was compared.
	Commit   string `json:"commit"`
	Revision string `json:"revision"`
	Image    string `json:"image"`
	// Health and Sync are Argo CD's words.
	Health  string `json:"health"`
	Sync    string `json:"sync"`
	Message string `json:"message"`
	// SyncedAt is when the last sync ended well, HealthyAt when health was
	// found after it. RFC 3339; empty when they did not come.
	SyncedAt  string `json:"syncedAt"`
	HealthyAt string `json:"healthyAt"`
	// Waited is a Go duration.
	Waited string `json:"waited"`
	// Resources are the objects at fault.
	Resources []Resource `json:"resources"`
}

// Resource is an object at fault.
type Resource struct {
	Group     string `json:"group"`
	Kind      string `json:"kind"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	// Health is Argo CD's word for its health, or SyncFailed or OutOfSync.
	Health  string `json:"health"`
	Message string `json:"message"`
	// Events are its last events, the newest last.
	Events []Event `json:"events"`
}

// Event is one Kubernetes event.
type Event struct {
	At      string `json:"at"`
	Type    string `json:"type"`
	Reason  string `json:"reason"`
	Message string `json:"message"`
	Count   int32  `json:"count"`
}

// Statuses is where Applications stand, in the order that they were asked for.
type Statuses struct {
	Applications []Status `json:"applications"`
}

// Status is where one Application stands. Times are RFC 3339, and empty when
// they did not come.
type Status struct {
	Name          string   `json:"name"`
	Found         bool     `json:"found"`
	Revision      string   `json:"revision"`
	Sync          string   `json:"sync"`
	Health        string   `json:"health"`
	HealthMessage string   `json:"healthMessage"`
	Images        []string `json:"images"`
	ReconciledAt  string   `json:"reconciledAt"`
	// SyncedAt is when the newest entry of History was deployed.
	SyncedAt string `json:"syncedAt"`
	// Operation is the last operation's phase.
	Operation  string      `json:"operation"`
	Conditions []Condition `json:"conditions"`
	History    []Deployed  `json:"history"`
}

// Condition is what Argo CD has to say about an Application.
type Condition struct {
	Type    string `json:"type"`
	Message string `json:"message"`
}

// Deployed is one entry of an Application's history, the newest last.
type Deployed struct {
	ID         int64  `json:"id"`
	Revision   string `json:"revision"`
	DeployedAt string `json:"deployedAt"`
}

// Refreshed is what became of the request.
type Refreshed struct {
	// Asked is false when the request was not taken.
	Asked bool `json:"asked"`
	// Message says why not.
	Message string `json:"message"`
}

// Admitted is what the cluster would admit.
type Admitted struct {
	// Pods are the workloads whose pods were tried: kind/namespace/name.
	Pods []string `json:"pods"`
}
