// Package scan has the results of the program that scans.
package scan

import (
	"strings"
	"time"
)

// Severity is how bad a finding is, in Trivy's five steps.
type Severity string

// The severities, from the one that says nothing to the worst.
const (
	Unknown  Severity = "UNKNOWN"
	Low      Severity = "LOW"
	Medium   Severity = "MEDIUM"
	High     Severity = "HIGH"
	Critical Severity = "CRITICAL"
)

// Severities are all of them, lowest first.
var Severities = []Severity{Unknown, Low, Medium, High, Critical}

// Findings is what the scanner found, before any decision.
type Findings struct {
	// Digest is the scanned image or index, as sha256:….
	Digest string `json:"digest"`
	// Database says which vulnerability database was asked.
	Database Database `json:"database"`
	// TrivyVersion is what the scanner calls its version.
	TrivyVersion string `json:"trivyVersion"`
	// The findings, each list sorted; never null.
	Vulnerabilities   []Vulnerability    `json:"vulnerabilities"`
	Secrets           []Secret           `json:"secrets"`
	Misconfigurations []Misconfiguration `json:"misconfigurations"`
	// Images are what was scanned of each platform, sorted; empty where no image
	// was, never null.
	Images []Image `json:"images"`
	// Unknown are the executable files that nothing identifies, so that no
	// advisory can be asked about them; sorted and never null.
	Unknown []Executable `json:"unknownExecutables"`
	// Scanned lists what was looked at, with or without findings.
	Scanned []Scanned `json:"scanned"`
	// Packages are those of the image, on whichever of its platforms, each
	// once; sorted and never null.
	Packages []Package `json:"packages"`
}

// Database identifies a vulnerability database and its age. Times are RFC 3339
// in UTC.
type Database struct {
	// Digest is the manifest of the artifact that it was fetched as.
	Digest string `json:"digest"`
	// UpdatedAt is when its advisories were taken; NextUpdate is when its
	// publisher promised newer ones.
	UpdatedAt  time.Time `json:"updatedAt"`
	NextUpdate time.Time `json:"nextUpdate"`
	// Version is the schema version.
	Version int `json:"version"`
	// Sources are the names that its publisher gave to what its advisories come from,
	// sorted, each once; a database for demos says so here.
	Sources []string `json:"sources,omitempty"`
}

// Vulnerability is a known vulnerability of one package at one place.
type Vulnerability struct {
	// ID is a CVE, or the advisory's own id where it has no CVE.
	ID      string `json:"id"`
	Package string `json:"package"`
	// Installed is the version found; Fixed lists those that mend it on any of the
	// platforms, comma separated, and is empty when there is none.
	Installed string `json:"installed"`
	Fixed     string `json:"fixed"`
	// PURLs are the package URLs that the package has on the platforms, sorted, each
	// once; an empty one where it has none.
	PURLs []string `json:"purls"`
	// Severity is the worst of the platforms'. What is unknown on one of them is a
	// finding of its own.
	Severity Severity `json:"severity"`
	// Platforms are those whose image has it, such as linux/amd64.
	Platforms []string `json:"platforms"`
	// Target is the file in the image, or the operating system, that it is in.
	Target string `json:"target"`
	Title  string `json:"title"`
}

// Secret is a credential in a file. The credential itself is never kept.
type Secret struct {
	Rule     string   `json:"rule"`
	File     string   `json:"file"`
	Line     int      `json:"line"`
	Severity Severity `json:"severity"`
	Title    string   `json:"title"`
}

// InlineIgnore is the id of the misconfiguration that is a comment by which the scanner
// would skip a check.
const InlineIgnore = "SLIPWAY-INLINE-IGNORE"

// Misconfiguration is a failed check of a manifest.
type Misconfiguration struct {
	ID       string   `json:"id"`
	File     string   `json:"file"`
	Line     int      `json:"line"`
	Severity Severity `json:"severity"`
	Title    string   `json:"title"`
	// Message says which part of the manifest fails, and how.
	Message string `json:"message"`
	// Resource is what the manifest declares there; may be empty.
	Resource string `json:"resource"`
	// Resolution is how the check's authors mend it; may be empty.
	Resolution string `json:"resolution,omitempty"`
}

// Image is the image of one platform.
type Image struct {
	Platform string `json:"platform"`
	// System is the distribution and its version, such as "debian 12.5"; empty
	// for an image without one.
	System string `json:"system"`
	// EndOfLife says that the distribution's publisher says nothing about it any
	// more, so that no finding is no news.
	EndOfLife bool `json:"endOfLife"`
	// Executables is how many executable files it holds.
	Executables int `json:"executables"`
}

// Executable is an executable file of an image that nothing identifies.
type Executable struct {
	// Path in the image, without a leading slash; that of an archive in an
	// archive is below the outer one's.
	Path string `json:"path"`
	// SHA256 is the content's, in hexadecimal.
	SHA256 string `json:"sha256"`
	// Kind is what it is, such as "ELF file" or "Java archive".
	Kind string `json:"kind"`
	// Reason says why nothing is known about it.
	Reason string `json:"reason"`
	// Platforms are those whose image holds it.
	Platforms []string `json:"platforms"`
}

// Scanned is one thing that Trivy looked at.
type Scanned struct {
	Target string `json:"target"`
	// Type is Trivy's name of it, such as gobinary, debian or kubernetes;
	// secret for a tree that was searched for secrets.
	Type string `json:"type"`
	// Packages counts the packages found in it.
	Packages int `json:"packages"`
}

// Package is a package of the image.
type Package struct {
	// Class is os-pkgs or lang-pkgs.
	Class string `json:"class"`
	// Type is Trivy's name of the target that it is in, such as gobinary or
	// debian.
	Type string `json:"type"`
	Name string `json:"name"`
	// Version as vulnerabilities name it; empty where the image does not say.
	Version string `json:"version"`
}

// Summary is the result of a scan. It is no verdict: that is the policy's.
type Summary struct {
	Digest       string   `json:"digest"`
	Database     Database `json:"database"`
	TrivyVersion string   `json:"trivyVersion"`
	// TrivyDigest is the sha256:… of the binary that ran.
	TrivyDigest string `json:"trivyDigest"`
	// StartedOn and FinishedOn are when it scanned, in UTC and whole seconds.
	StartedOn  time.Time `json:"startedOn"`
	FinishedOn time.Time `json:"finishedOn"`
	Platforms  []string  `json:"platforms"`
	// Findings by severity, for each of the three lists.
	Vulnerabilities   map[string]int `json:"vulnerabilities"`
	Secrets           map[string]int `json:"secrets"`
	Misconfigurations map[string]int `json:"misconfigurations"`
	// Files are the files written, relative to the output folder.
	Files []string `json:"files"`
}

// Checked is what a scan found in manifests or Terraform code that belong to no
// image.
type Checked struct {
	TrivyVersion      string             `json:"trivyVersion"`
	Secrets           []Secret           `json:"secrets"`
	Misconfigurations []Misconfiguration `json:"misconfigurations"`
	Scanned           []Scanned          `json:"scanned"`
}

// Resolved is the vulnerability database that a tag names now.
type Resolved struct {
	// Digest is the artifact's.
	Digest string `json:"digest"`
}

// Pushed is a vulnerability database in a registry.
type Pushed struct {
	Repository string `json:"repository"`
	Tag        string `json:"tag"`
	Digest     string `json:"digest"`
}

// SBOMFormat is a specification of bills of materials, by the end of its files' names.
type SBOMFormat string

// CycloneDX is version 1.6 and SPDX version 2.3, both as JSON.
const (
	CycloneDX SBOMFormat = ".cdx.json"
	SPDX      SBOMFormat = ".spdx.json"
)

// PlatformProperty is the property of an image's bill of materials that says which
// platform it is for: in CycloneDX of the component that it is about, and in SPDX an
// annotation of that package, as NAME: VALUE.
const PlatformProperty = "slipway:platform"

// SBOMFolder is where the bills of materials are, in the output folder.
const SBOMFolder = "sbom"

// SBOM is the path of a bill of materials in the output folder: of the image for a
// platform, or of the app's source for none.
func SBOM(platform string, format SBOMFormat) string {
	name := "source"
	if platform != "" {
		name = "image-" + strings.ReplaceAll(platform, "/", "-")
	}
	return SBOMFolder + "/" + name + string(format)
}

// Is says whether an image's platform is the one that is meant, which may leave out the
// variant: linux/arm64 means linux/arm64/v8, too.
func Is(platform, meant string) bool {
	return platform == meant || strings.HasPrefix(platform, meant+"/")
}

// On is the image's platform that is meant; the first, where none is.
func (s Summary) On(meant string) (string, bool) {
	for _, platform := range s.Platforms {
		if meant == "" || Is(platform, meant) {
			return platform, true
		}
	}
	return "", false
}
