package policy

import (
	"strings"
	"time"
)

// Findings is what the scan step found, before any decision.
type Findings struct {
	// Digest is the scanned image index.
	Digest string `json:"digest"`
	// Database is the vulnerability database that was used.
	Database DatabaseInfo `json:"database"`
	// TrivyVersion is the scanner's.
	TrivyVersion      string             `json:"trivyVersion"`
	Vulnerabilities   []Vulnerability    `json:"vulnerabilities"`
	Secrets           []Secret           `json:"secrets"`
	Misconfigurations []Misconfiguration `json:"misconfigurations"`
	// Images are what was scanned of each platform; an empty list decides nothing.
	Images []ImageInfo `json:"images"`
	// Unknown are the executable files that nothing identifies.
	Unknown []Executable `json:"unknownExecutables"`
	// Scanned lists what was looked at; an empty list decides nothing.
	Scanned []Scanned `json:"scanned"`
	// Packages are those of the image, on whichever of its platforms.
	Packages []Package `json:"packages"`
}

// DatabaseInfo identifies a vulnerability database and its age.
type DatabaseInfo struct {
	Digest     string    `json:"digest"`
	UpdatedAt  time.Time `json:"updatedAt"`
	NextUpdate time.Time `json:"nextUpdate"`
	Version    int       `json:"version"`
	// Sources are what its advisories come from, by name.
	Sources []string `json:"sources,omitempty"`
}

// Vulnerability is a known flaw in a package of the image.
type Vulnerability struct {
	ID        string   `json:"id"`
	Package   string   `json:"package"`
	Installed string   `json:"installed"`
	Fixed     string   `json:"fixed,omitempty"`
	Severity  Severity `json:"severity"`
	Platforms []string `json:"platforms"`
	Target    string   `json:"target"`
	Title     string   `json:"title,omitempty"`
}

// Secret is a credential in the source. The credential itself is never kept.
type Secret struct {
	Rule     string   `json:"rule"`
	File     string   `json:"file"`
	Line     int      `json:"line"`
	Severity Severity `json:"severity"`
	Title    string   `json:"title,omitempty"`
}

// Misconfiguration is a dangerous setting in a manifest or in Terraform code.
type Misconfiguration struct {
	ID       string   `json:"id"`
	File     string   `json:"file"`
	Line     int      `json:"line"`
	Severity Severity `json:"severity"`
	Title    string   `json:"title,omitempty"`
	Resource string   `json:"resource,omitempty"`
	// Resolution is how the check's authors mend it.
	Resolution string `json:"resolution,omitempty"`
}

// ImageInfo is the image of one platform.
type ImageInfo struct {
	Platform string `json:"platform"`
	// System is the distribution and its version; empty for none.
	System string `json:"system,omitempty"`
	// EndOfLife says that its publisher says nothing about it any more.
	EndOfLife bool `json:"endOfLife,omitempty"`
	// Executables is how many executable files it holds.
	Executables int `json:"executables"`
}

// Executable is an executable file of an image that nothing identifies.
type Executable struct {
	// Path is in the image, without a leading slash.
	Path   string `json:"path"`
	SHA256 string `json:"sha256"`
	// Kind begins with script for a script.
	Kind      string   `json:"kind"`
	Reason    string   `json:"reason"`
	Platforms []string `json:"platforms"`
}

// ofSource says whether it is a script, which the app's source of the day has to
// account for.
func (x Executable) ofSource() bool { return strings.HasPrefix(x.Kind, "script") }

// Scanned is one thing the scanner looked at.
type Scanned struct {
	Target   string `json:"target"`
	Type     string `json:"type"`
	Packages int    `json:"packages"`
}

// Package is a package of the image.
type Package struct {
	// Class is os-pkgs or lang-pkgs, and Type what it comes as, such as
	// gobinary or debian.
	Class   string `json:"class"`
	Type    string `json:"type"`
	Name    string `json:"name"`
	Version string `json:"version"`
}
