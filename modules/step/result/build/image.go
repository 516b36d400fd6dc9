package build

// Built is an image in an OCI layout.
type Built struct {
	// Digest is the index's.
	Digest string `json:"digest"`
	// Platforms are the index's images, in the order of their names.
	Platforms []Platform `json:"platforms"`
	// Revision is the Git tree id of the app's folder.
	Revision string `json:"revision"`
}

// Platform is one image of an index.
type Platform struct {
	// Platform is its name, such as "linux/amd64".
	Platform string `json:"platform"`
	// Digest is its manifest's.
	Digest string `json:"digest"`
	// Size is what a node without any of it pulls: the bytes of manifest,
	// config and compressed layers.
	Size int64 `json:"size"`
	// User is who the image runs as, as its config says it.
	User string `json:"user"`
}

// Published is an image in a registry.
type Published struct {
	// Reference is the image by digest: "REPOSITORY@sha256:…".
	Reference string `json:"reference"`
	// Digest is the index's.
	Digest string `json:"digest"`
	// Pushed is false when the registry had all of it already.
	Pushed bool `json:"pushed"`
	// UploadedBlobs and UploadedManifests count what was sent.
	UploadedBlobs     int `json:"uploadedBlobs"`
	UploadedManifests int `json:"uploadedManifests"`
}

// Compared says what a delivery was taken from.
type Compared struct {
	// Commit is the id of the checkout's head.
	Commit string `json:"commit"`
	// Uncommitted names what differs from it, in the order of the paths: "added",
	// "changed" or "removed" with the path, at most a limit, and then how many more.
	// Empty when all that is taken is the commit's.
	Uncommitted []string `json:"uncommitted,omitempty"`
	// Changed are those of the paths in which anything differs, in their order.
	Changed []string `json:"changed,omitempty"`
	// Authors are the e-mail addresses of who has made the commit, as it says: its
	// author, its committer, and whom Co-authored-by trailers name. Each once, in order.
	Authors []string `json:"authors,omitempty"`
}

// Order says how two commits stand to each other.
type Order struct {
	// Ancestor is true when the first one is in the history of the second.
	Ancestor bool `json:"ancestor"`
}

// Packed is an image of programs, in an OCI layout.
type Packed struct {
	// Digest is the image index's.
	Digest string `json:"digest"`
	// Layers is how many there are: one for each folder at the top.
	Layers int `json:"layers"`
	// Size is what a machine without any of it pulls, in bytes.
	Size int64 `json:"size"`
}

// Unpacked is what was taken from an image of programs.
type Unpacked struct {
	// Digest is the image index's.
	Digest string `json:"digest"`
	// Files is how many files and symbolic links came out.
	Files int `json:"files"`
}
