package build

// Package is one package of a registry as a lock file pins it, and its file.
type Package struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	// Path is the tarball's in the registry that the lock file names, such as
	// /left-pad/-/left-pad-1.3.0.tgz.
	Path string `json:"path"`
	// Integrity is the lock file's, in the notation of Subresource Integrity.
	Integrity string `json:"integrity"`
	// File is the name of the tarball in the folder of packages.
	File string `json:"file"`
}

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
	// Packages is how many there are, Bytes their size.
	Packages int   `json:"packages"`
	Bytes    int64 `json:"bytes"`
}

// A folder of packages has the tarballs and an index, which is a list of Package as
// JSON, in the order of their paths.
const (
	// PackagesFolder is its name in the build context and below a step's output.
	PackagesFolder = "packages"
	// PackagesIndex is the index's name in it.
	PackagesIndex = "index.json"
)

// LockFiles are the names of npm's lock files; npm takes the first that a folder has.
var LockFiles = []string{"npm-shrinkwrap.json", "package-lock.json"}
