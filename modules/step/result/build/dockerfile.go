package build

// Kind says where a base comes from.
type Kind string

const (
	// KindImage is an image of a registry, pinned by digest.
	KindImage Kind = "image"
	// KindScratch is the empty image.
	KindScratch Kind = "scratch"
	// KindStage is an earlier stage of the same file.
	KindStage Kind = "stage"
)

// Base is one place where a Dockerfile takes content from elsewhere.
type Base struct {
	// Line counts from 1.
	Line int `json:"line"`
	// Instruction is "FROM", "COPY --from" or "RUN --mount".
	Instruction string `json:"instruction"`
	// Reference is the name after its build arguments are filled in, or the image that
	// the platform has chosen for it.
	Reference string `json:"reference"`
	// Kind says what the name is.
	Kind Kind `json:"kind"`
}

// Config is a base image whose config has a part in the build: its shell, and
// triggers that it may hold.
type Config struct {
	// Build is the platform that is built, such as linux/amd64.
	Build string `json:"build"`
	// Platform is the one that the base is taken for: Build's, if the
	// Dockerfile doesn't name another.
	Platform string `json:"platform"`
	// Reference is the image, by digest.
	Reference string `json:"reference"`
}

// Fetch is what an ADD takes from elsewhere.
type Fetch struct {
	// Line counts from 1.
	Line int `json:"line"`
	// URL is an https address: of a file, or of a Git repository where there is
	// a commit.
	URL string `json:"url"`
	// Checksum is the sha256:… that the file must have.
	Checksum string `json:"checksum,omitempty"`
	// Commit is the repository's, in full.
	Commit string `json:"commit,omitempty"`
	// Name is the file's name.
	Name string `json:"name,omitempty"`
}

// Dockerfile is what a checked Dockerfile takes from elsewhere.
type Dockerfile struct {
	// Bases are in the order of the file.
	Bases []Base `json:"bases"`
	// Fetches are what ADD takes from elsewhere, in the order of the file.
	Fetches []Fetch `json:"fetches"`
	// Configs are what rewriting it wants to know of base images.
	Configs []Config `json:"configs"`
	// Ignore are the patterns of what isn't part of the build context.
	Ignore []string `json:"ignore"`
}

// Folders of the build context that a rewritten Dockerfile is built with. The app's
// own files lie in one, so none of its names can be that of another.
const (
	// ContextFolder holds the app's build context.
	ContextFolder = "context"
	// FetchedFolder holds what Fetches name, each below its number in their
	// order, from 0.
	FetchedFolder = "fetched"
	// ScriptsFolder holds the scripts that came with the rewritten file.
	ScriptsFolder = "scripts"
	// BoxFolder holds the box for each architecture, by its name.
	BoxFolder = "box"
)
