// Package build has the results of the programs that build and test apps.
package build

import "time"

// Binaries are the programs of a Go app, each compiled for every architecture into a
// file of its name below the architecture's folder.
type Binaries struct {
	// Names are in the order in which the app names its packages.
	Names []string `json:"names"`
}

// Tests says how an app's tests went.
type Tests struct {
	// Started is when, RFC 3339.
	Started time.Time `json:"started"`
	// Packages are those that have tests, in order.
	Packages []TestPackage `json:"packages"`
	Counts
	// Box is what they were held to; nil where nothing is known.
	Box *Box `json:"box,omitempty"`
}

// TestPackage is one package's tests.
type TestPackage struct {
	// Name is the package's import path.
	Name string `json:"name"`
	Counts
}

// Counts are numbers of tests; a subtest counts to its test.
type Counts struct {
	Passed  int `json:"passed"`
	Failed  int `json:"failed"`
	Skipped int `json:"skipped"`
}

// Add adds another count.
func (c *Counts) Add(other Counts) {
	c.Passed += other.Passed
	c.Failed += other.Failed
	c.Skipped += other.Skipped
}
