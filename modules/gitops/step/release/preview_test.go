package release

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/gitops/step/internal/githost"
	"slipway/gitops/step/overlay"
	"slipway/step"
	"slipway/step/result/gitops"
)

func previewRequest(digest string) PreviewRequest {
	return PreviewRequest{Root: ".", App: "hello", Env: "dev", Repository: "localhost:5000/hello", Digest: digest}
}

// would wants the rendered overlay to run a digest, and takes it out of the
// preview.
func would(t *testing.T, preview *Preview, digest string) {
	t.Helper()
	assert.Contains(t, string(preview.Manifests), "image: localhost:5000/hello@"+digest+"\n")
	assert.Equal(t, hashed(preview.Manifests), preview.SHA256)
	const pods = "spec.template.spec."
	assert.Equal(t, []gitops.Used{
		{Object: "Deployment hello", Place: pods + "containers[hello].image", Image: "localhost:5000/hello@" + digest},
		{Object: "Deployment hello", Place: pods + "containers[proxy].image", Image: "localhost:5000/proxy@sha256:" + strings.Repeat("1", 64)},
		{Object: "Deployment hello", Place: pods + "initContainers[migrate].image", Image: "localhost:5000/hello@" + digest},
	}, preview.Images)
	preview.Manifests, preview.SHA256, preview.Images = nil, "", nil
}

func TestPreviewChangesNothing(t *testing.T) {
	pushes := 0
	host := githost.Start(t, githost.Sample("", nil), beforePush(func(int) { pushes++ }))
	head := host.Git("rev-parse", "main")
	preview, diff, err := PreviewRemote(t.Context(), releaser(t, host, nil).Remote, previewRequest(sum(7)))
	require.NoError(t, err)
	would(t, preview, sum(7))
	assert.Equal(t, &Preview{Preview: gitops.Preview{Head: head, Before: githost.Unset, After: sum(7), Path: devFile, Changes: true}}, preview)
	assert.Equal(t, 1, strings.Count(string(diff), "diff --git "), "one object differs")
	assert.Contains(t, string(diff), "--- a/Deployment/hello\n+++ b/Deployment/hello\n")
	for line, digest := range map[string]string{"-": githost.Unset, "+": sum(7)} {
		assert.Equal(t, 2, strings.Count(string(diff), "\n"+line+"      - image: localhost:5000/hello@"+digest+"\n"), string(diff))
	}
	assert.Zero(t, pushes)

	// The release then does what the preview said.
	releaseOf(t, host, 7)
	preview, diff, err = PreviewRemote(t.Context(), releaser(t, host, nil).Remote, previewRequest(sum(7)))
	require.NoError(t, err)
	would(t, preview, sum(7))
	released := host.Git("rev-parse", "main")
	there := &Preview{Preview: gitops.Preview{Head: released, Before: sum(7), After: sum(7), Path: devFile, Standing: &history(t, host, 1)[0]}}
	assert.Equal(t, there, preview)
	assert.Equal(t, released, preview.Standing.Commit)
	assert.Empty(t, diff)

	// A commit about something else is not that release's.
	there.Head = host.Commit("Something else", map[string]string{"README": "hello"})
	older := previewRequest(sum(7))
	older.Older = true
	for _, q := range []PreviewRequest{previewRequest(sum(7)), older} {
		preview, _, err = PreviewRemote(t.Context(), releaser(t, host, nil).Remote, q)
		require.NoError(t, err)
		would(t, preview, sum(7))
		assert.Equal(t, there, preview)
	}

	// The next one is told what it would take the place of.
	preview, _, err = PreviewRemote(t.Context(), releaser(t, host, nil).Remote, previewRequest(sum(8)))
	require.NoError(t, err)
	assert.Equal(t, &history(t, host, 1)[0], preview.Running)
}

func TestPreviewOfAFolder(t *testing.T) {
	tree := overlay.Tree{Files: map[string][]byte{}}
	for name, content := range githost.Sample("", nil) {
		tree.Files[name] = []byte(content)
	}
	q := previewRequest(sum(7))
	q.Root = "gitops"
	preview, diff, err := PreviewTree(tree, q)
	require.NoError(t, err)
	would(t, preview, sum(7))
	assert.Equal(t, &Preview{Preview: gitops.Preview{Before: githost.Unset, After: sum(7), Path: "gitops/" + devFile, Changes: true}}, preview)
	assert.NotEmpty(t, diff)
	assert.Equal(t, githost.Kustomization, string(tree.Files[devFile]), "the folder stays as it is")
}

func TestPreviewRefusesWhatAReleaseWould(t *testing.T) {
	files := githost.Sample("", map[string]string{
		"apps/lost/base/kustomization.yaml":         "resources: [deployment.yaml]\n",
		"apps/lost/base/deployment.yaml":            strings.ReplaceAll(githost.Deployment, "localhost:5000/hello", "localhost:5000/hi"),
		"apps/lost/overlays/dev/kustomization.yaml": githost.Kustomization,
		"apps/open/overlays/dev/kustomization.yaml": strings.Replace(githost.Kustomization, "../../base", "../../../hello/base", 1) + "commonAnnotations: {host: hello.fill-in-domain.example}\n",
	})
	host, folder := githost.Start(t, files, nil), overlay.Tree{Files: map[string][]byte{}}
	for name, content := range files {
		folder.Files[name] = []byte(content)
	}
	for name, c := range map[string]struct {
		change        func(*PreviewRequest)
		kind          step.Kind
		input, reason string
	}{
		"unknown app":        {func(q *PreviewRequest) { q.App = "nope" }, step.KindInput, "apps/nope/overlays/dev", "does not exist"},
		"unknown env":        {func(q *PreviewRequest) { q.Env = "qa" }, step.KindInput, "apps/hello/overlays/qa", "does not exist"},
		"another repository": {func(q *PreviewRequest) { q.Repository = "localhost:5000/other" }, step.KindInput, devFile, "no images entry"},
		"a tag":              {func(q *PreviewRequest) { q.Digest = "latest" }, step.KindInput, "digest", "is not a sha256 digest"},
		"all zeros":          {func(q *PreviewRequest) { q.Digest = githost.Unset }, step.KindInput, "digest", "was never released"},
		"a hostile root":     {func(q *PreviewRequest) { q.Root = "../x" }, step.KindInput, "root", "not a clean path"},
		"not filled in":      {func(q *PreviewRequest) { q.App = "open" }, step.KindInput, "apps/open/overlays/dev", "is not filled in: fill-in-domain"},
		"unprovable":         {func(q *PreviewRequest) { q.App = "lost" }, step.KindPolicy, "apps/lost/overlays/dev", "no container uses"},
	} {
		t.Run(name, func(t *testing.T) {
			q := previewRequest(sum(7))
			c.change(&q)
			_, _, remote := PreviewRemote(t.Context(), releaser(t, host, nil).Remote, q)
			_, _, local := PreviewTree(folder, q)
			for _, err := range []error{remote, local} {
				fault := faultOf(t, err)
				assert.Equal(t, c.kind, fault.Kind)
				assert.Contains(t, fault.Input, c.input)
				assert.Contains(t, fault.Reason, c.reason)
			}
		})
	}
}
