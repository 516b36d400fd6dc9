package build

// Manager is a package manager whose lock files pin what is fetched for an app.
type Manager string

const (
	// NPM reads package-lock.json and npm-shrinkwrap.json.
	NPM Manager = "npm"
	// Pip reads requirements files in its hash-checking form.
	Pip Manager = "pip"
)

// Package is one file of a registry or an index as a lock file pins it: a tarball, a
// wheel, a source distribution.
type Package struct {
	Manager Manager `json:"manager"`
	// Name is the package's. Pip's are normalized: lower case, runs of - _ . as one -.
	Name    string `json:"name"`
	Version string `json:"version"`
	// Path is where the box serves it: of npm's, the tarball's path in the registry that
	// the lock file names, such as /left-pad/-/left-pad-1.3.0.tgz; of pip's, below
	// PipFiles.
	Path string `json:"path"`
	// Integrity is in the notation of Subresource Integrity, for npm the lock file's own.
	Integrity string `json:"integrity"`
	// File is the name of its content in the folder of packages.
	File string `json:"file"`
}

// Paths of pip's in the box's registry. No part of a path of npm's begins with a dot.
const (
	// PipIndex is the simple index (PEP 503).
	PipIndex = "/.pip/simple/"
	// PipFiles is where its files are: <sha256>/<name> below.
	PipFiles = "/.pip/files/"
)

// Lock is a file that pins packages.
type Lock struct {
	// Path is the file's in the app's folder.
	Path string `json:"path"`
	// Digest is its sha256:….
	Digest string `json:"digest"`
}

// Fetched says what was fetched for an app's lock files.
type Fetched struct {
	// Locks are in the order of their paths.
	Locks []Lock `json:"locks"`
	// Packages is how many files there are, Bytes their size.
	Packages int   `json:"packages"`
	Bytes    int64 `json:"bytes"`
}

// A folder of packages has their files and an index, which is a list of Package as
// JSON, in the order of their paths.
const (
	// PackagesFolder is its name in the build context and below a step's output.
	PackagesFolder = "packages"
	// PackagesIndex is the index's name in it.
	PackagesIndex = "index.json"
)

// LockFiles are the names of npm's lock files; npm takes the first that a folder has.
var LockFiles = []string{"npm-shrinkwrap.json", "package-lock.json"}

// Requirements are the names of pip's lock files, as a pattern. They may include
// others whose names end with RequirementsEnd.
const (
	Requirements    = "requirements*.txt"
	RequirementsEnd = ".txt"
)

// InstalledFolders are the names of folders with what package managers have
// installed. Lock files in them are not the app's.
var InstalledFolders = []string{"node_modules", "site-packages"}
