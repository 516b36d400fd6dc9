package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	remote "github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"slipway/build/step/oci"
	"slipway/step"
	"slipway/step/azure"
)

const (
	// Tries is how often an operation is asked of a registry before its
	// failure is the step's.
	Tries = 3
	// perTry bounds one try, a blob's transfer included.
	perTry = 10 * time.Minute
)

// Options say how to reach a registry.
type Options struct {
	// Stage is the stage that faults name.
	Stage string
	// Connections redirect logical addresses.
	Connections Connections
	// Auth authenticates; nil is anonymous.
	Auth authn.Authenticator
	// Azure signs in to a registry of Azure's instead of Auth; nil does not.
	Azure *azure.Credential
	// Wait is the pause before the second try; it doubles after that.
	Wait time.Duration
	// Say reports progress; nil is silence.
	Say func(format string, args ...any)
}

// Client speaks with one repository of a registry.
type Client struct {
	o      Options
	repo   name.Repository
	scopes []string
	base   *transport
	http   *http.Client // nil until logged in
}

// The registry's address, and the distribution specification's grammar of a
// repository's name.
var (
	hostPattern = regexp.MustCompile(`\A[a-zA-Z0-9]([a-zA-Z0-9.-]*[a-zA-Z0-9])?(:[0-9]{1,5})?\z`)
	pathPattern = regexp.MustCompile(`\A` + component + `(/` + component + `)*\z`)
)

const component = `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`

// ParseRepository reads "REGISTRY/NAME" with no tag or digest. The registry
// has to be written out: no name falls back to a public one.
func ParseRepository(stage, flag, value string) (name.Repository, error) {
	repo, err := name.NewRepository(value, name.StrictValidation)
	if err != nil || repo.Name() != value || !hostPattern.MatchString(repo.RegistryStr()) || !pathPattern.MatchString(repo.RepositoryStr()) {
		return repo, step.Input(stage, fmt.Sprintf("%s %.300q", flag, value), "is not a repository",
			"give registry/name, such as localhost:5000/hello, with no tag or digest")
	}
	return repo, nil
}

// ParseReference reads "REGISTRY/NAME@sha256:…" with no tag.
func ParseReference(stage, flag, value string) (name.Repository, v1.Hash, error) {
	repository, digest, ok := strings.Cut(value, "@")
	fault := step.Input(stage, fmt.Sprintf("%s %.400q", flag, value), "is not a reference by digest",
		"give registry/name@sha256:…, with no tag")
	if !ok || step.Digest(stage, flag, digest) != nil {
		return name.Repository{}, v1.Hash{}, fault
	}
	repo, err := ParseRepository(stage, flag, repository)
	if err != nil {
		return name.Repository{}, v1.Hash{}, fault
	}
	hash, err := v1.NewHash(digest)
	if err != nil {
		return name.Repository{}, v1.Hash{}, fault
	}
	return repo, hash, nil
}

func newClient(repo name.Repository, o Options, scope string) *Client {
	base := newTransport(o.Connections)
	if o.Azure != nil {
		o.Auth = azureLogin{o.Azure, repo.RegistryStr()}
		o.Azure.Route(base.inner)
	}
	if o.Auth == nil {
		o.Auth = authn.Anonymous
	}
	if o.Say == nil {
		o.Say = func(string, ...any) {}
	}
	return &Client{o: o, repo: repo, scopes: []string{repo.Scope(scope)}, base: base}
}

// errNotFound is the registry's 404 for a blob or manifest.
var errNotFound = errors.New("not found")

// do tries an operation up to Tries times. operation names it for the fault,
// as in "upload blob sha256:…"; subject is what a policy fault is about.
func (c *Client) do(ctx context.Context, operation string, d v1.Hash, try func(context.Context, *http.Client) error) error {
	wait := c.o.Wait
	for n := 1; ; n++ {
		err := c.once(ctx, try)
		if err == nil || errors.Is(err, errNotFound) {
			return err
		}
		if n == Tries || ctx.Err() != nil || !retriable(err) {
			return c.fault(operation, d, n, err)
		}
		c.o.Say("%s: %s, try %d of %d: %s", c.repo.RegistryStr(), operation, n, Tries, brief(err))
		select {
		case <-ctx.Done():
			return c.fault(operation, d, n, ctx.Err())
		case <-time.After(wait):
		}
		wait *= 2
	}
}

func (c *Client) once(ctx context.Context, try func(context.Context, *http.Client) error) error {
	ctx, cancel := context.WithTimeout(ctx, perTry)
	defer cancel()
	if c.http == nil {
		rt, err := remote.NewWithContext(ctx, c.repo.Registry, c.o.Auth, c.base, c.scopes)
		if err != nil {
			return fmt.Errorf("log in: %w", err)
		}
		c.http = &http.Client{Transport: rt}
	}
	return try(ctx, c.http)
}

// retriable tells a failure that may pass (no answer, a cut connection, 408,
// 429, 5xx) from an answer that will stay.
func retriable(err error) bool {
	var plain *plainHTTPError
	var mismatch *oci.Mismatch
	if errors.As(err, &plain) || errors.As(err, &mismatch) {
		return false
	}
	if _, refused := step.AsFault(err); refused {
		return false
	}
	var answer *remote.Error
	if errors.As(err, &answer) {
		return answer.StatusCode >= 500 || answer.StatusCode == http.StatusRequestTimeout || answer.StatusCode == http.StatusTooManyRequests
	}
	return true
}

func (c *Client) fault(operation string, d v1.Hash, tries int, err error) error {
	registry := "registry " + c.repo.RegistryStr()
	var mismatch *oci.Mismatch
	var answer *remote.Error
	// Who could not sign in has been told why.
	if refused, ok := step.AsFault(err); ok {
		return refused
	}
	denied := errors.As(err, &answer) && (answer.StatusCode == http.StatusUnauthorized || answer.StatusCode == http.StatusForbidden)
	switch {
	case errors.As(err, &mismatch):
		return step.Policy(c.o.Stage, c.at(d), "the registry serves other bytes: "+mismatch.Error(),
			"don't use this image: restore the registry's content or publish the image again, and find out what changed it").Because(err)
	case denied && c.o.Azure != nil:
		return c.o.Azure.Denied("repository "+c.repo.Name(), err)
	case denied:
		return step.Input(c.o.Stage, registry, fmt.Sprintf("%s: credentials refused with status %d", operation, answer.StatusCode),
			"give a user name and a password or token with access to "+c.repo.Name()).Because(err)
	default:
		return step.Infrastructure(c.o.Stage, registry, fmt.Sprintf("%s failed, %d of %d tries made: %s", operation, tries, Tries, brief(err)),
			"see that the registry answers, then run the stage again").Because(err)
	}
}

// brief is an error on one line of bearable length.
func brief(err error) string {
	const most = 300
	text := strings.Join(strings.Fields(err.Error()), " ")
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}

// at is the reference of a digest in the client's repository.
func (c *Client) at(d v1.Hash) string { return c.repo.Name() + "@" + d.String() }

func (c *Client) url(kind, last string) string {
	u := url.URL{
		Scheme: c.repo.Scheme(),
		Host:   c.repo.RegistryStr(),
		Path:   "/v2/" + c.repo.RepositoryStr() + "/" + kind + "/" + last,
	}
	return u.String()
}

// content is the URL of what d describes.
func (c *Client) content(d v1.Descriptor) string {
	if oci.IsManifest(d) {
		return c.url("manifests", d.Digest.String())
	}
	return c.url("blobs", d.Digest.String())
}

// send makes one request and returns the response when its status is want.
func send(ctx context.Context, client *http.Client, method, url string, body io.Reader, length int64, header http.Header, want int) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return nil, err
	}
	if body != nil {
		r.ContentLength = length
	}
	for key, values := range header {
		r.Header[key] = values
	}
	response, err := client.Do(r)
	if err != nil {
		return nil, err
	}
	if response.StatusCode == http.StatusNotFound && (method == http.MethodGet || method == http.MethodHead) {
		response.Body.Close()
		return nil, errNotFound
	}
	if err := remote.CheckError(response, want); err != nil {
		response.Body.Close()
		return nil, err
	}
	return response, nil
}

var acceptManifests = http.Header{"Accept": {strings.Join([]string{
	string(types.OCIImageIndex), string(types.OCIManifestSchema1),
	string(types.DockerManifestList), string(types.DockerManifestSchema2),
}, ", ")}}

// exists asks whether the registry says it has what d describes.
func (c *Client) exists(ctx context.Context, d v1.Descriptor) (bool, error) {
	err := c.do(ctx, "look for "+d.Digest.String(), d.Digest, func(ctx context.Context, client *http.Client) error {
		response, err := send(ctx, client, http.MethodHead, c.content(d), nil, 0, acceptManifests, http.StatusOK)
		if err != nil {
			return err
		}
		return response.Body.Close()
	})
	if errors.Is(err, errNotFound) {
		return false, nil
	}
	return err == nil, err
}

// read verifies what the registry serves for d; the bytes are returned for an
// index or manifest.
func (c *Client) read(ctx context.Context, d v1.Descriptor) ([]byte, error) {
	var content bytes.Buffer
	err := c.get(ctx, d, func(body io.Reader) error {
		content.Reset()
		var w io.Writer = &content
		if !oci.IsManifest(d) {
			w = io.Discard
		}
		return oci.Check(w, body, d)
	})
	return content.Bytes(), err
}

// get asks the registry for what d describes and gives each try's answer to
// check, which has to verify it.
func (c *Client) get(ctx context.Context, d v1.Descriptor, check func(body io.Reader) error) error {
	err := c.do(ctx, "read "+d.Digest.String(), d.Digest, func(ctx context.Context, client *http.Client) error {
		response, err := send(ctx, client, http.MethodGet, c.content(d), nil, 0, acceptManifests, http.StatusOK)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		return check(response.Body)
	})
	if errors.Is(err, errNotFound) {
		return c.notFound(d.Digest)
	}
	return err
}

func (c *Client) notFound(d v1.Hash) error {
	return step.Policy(c.o.Stage, c.at(d), "is not found in the registry", "publish the image again").Because(errNotFound)
}

// readRoot reads and verifies the manifest of a digest alone, whose media type
// and size only the registry knows.
func (c *Client) readRoot(ctx context.Context, digest v1.Hash) (v1.Descriptor, []byte, error) {
	d := v1.Descriptor{Digest: digest, MediaType: types.OCIImageIndex}
	var data []byte
	err := c.do(ctx, "read manifest "+digest.String(), digest, func(ctx context.Context, client *http.Client) error {
		response, err := send(ctx, client, http.MethodGet, c.content(d), nil, 0, acceptManifests, http.StatusOK)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		data, err = io.ReadAll(io.LimitReader(response.Body, oci.MaxManifest+1))
		if err != nil {
			return err
		}
		mediaType, _, _ := strings.Cut(response.Header.Get("Content-Type"), ";")
		d.MediaType = types.MediaType(strings.TrimSpace(mediaType))
		d.Size = int64(len(data))
		return oci.Check(io.Discard, bytes.NewReader(data), d)
	})
	if errors.Is(err, errNotFound) {
		return d, nil, c.notFound(digest)
	}
	if err == nil && !oci.IsManifest(d) {
		return d, nil, step.Policy(c.o.Stage, c.at(digest), fmt.Sprintf("is served as %q, which is no image", d.MediaType), "give the digest of an image or index")
	}
	return d, data, err
}
