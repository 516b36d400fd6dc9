package registry

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"slipway/step"
	"slipway/step/steptest"
)

// FuzzParseReference: what is taken for a repository or reference is one, written
// out, with nothing that moves or leads elsewhere; else it is refused as an input.
func FuzzParseReference(f *testing.F) {
	for _, text := range []string{
		"localhost:5000/hello", "ghcr.io/acme/a__b.c-d", "hello", "docker.io/hello", "localhost/hello:v1", "localhost/../x", "localhost//x", "localhost/x/",
		"u@localhost/x", "user@localhost/x", "localhost/X", "localhost:99999/x", "-x/y", "http://localhost/x", "", "@", "[::1]/x", "[::1]:5000/x", "[::1%25lo]/x", "a.b/x\n", "LOCALHOST/x", "a.b/" + strings.Repeat("x", 300),
		"localhost/hello@sha256:00",
	} {
		f.Add(text)
		f.Add(text + "@" + someDigest)
		f.Add(text + "@" + someDigest + "\n")
	}
	f.Fuzz(func(t *testing.T, text string) {
		if repo, err := ParseRepository("publish", "--repository", text); err != nil {
			_ = steptest.Refused(t, err)
		} else if repo.Name() != text || strings.ContainsAny(text, "@ \r\n%?#\\") || strings.Contains(text, "/.") || text[0] == '-' {
			t.Fatalf("%q is accepted", text)
		}
		ref, err := ParseReference("pull", "--reference", text)
		if err != nil {
			if fault := steptest.Refused(t, err); fault.Kind != step.KindInput || fault.Stage != "pull" || len(fault.Input) > 2500 {
				t.Fatal(err)
			}
			return
		}
		if ref.Text != text || ref.Repository.Name()+"@"+ref.Digest.String() != text || step.Digest("pull", "digest", ref.Digest.String()) != nil {
			t.Fatalf("%q became %+v", text, ref)
		}
		host, repository, _ := strings.Cut(strings.TrimSuffix(text, "@"+ref.Digest.String()), "/")
		if host == "" || repository == "" || host[0] == '-' || strings.ContainsAny(repository, ":@%?#\\") || strings.Contains("/"+repository+"/", "/../") {
			t.Fatalf("%q is accepted", text)
		}
	})
}

// FuzzUploadURL: where an upload goes on is where the registry says, for the
// digest that is uploaded.
func FuzzUploadURL(f *testing.F) {
	for _, location := range []string{
		"/v2/x/blobs/uploads/1?_state=a%20b", "http://localhost:5000/x", "//elsewhere.test/x?digest=sha256:00", "?a=1;b=2", "%zz", "", "?digest=x&digest=y", "\x7f",
	} {
		f.Add(location)
	}
	digest := v1.Hash{Algorithm: "sha256", Hex: strings.Repeat("ab", 32)}
	asked := &http.Request{URL: &url.URL{Scheme: "https", Host: "localhost:5000", Path: "/v2/x/blobs/uploads/"}}
	f.Fuzz(func(t *testing.T, location string) {
		got, err := uploadURL(&http.Response{Header: http.Header{"Location": {location}}, Request: asked}, digest)
		if err != nil {
			return
		}
		u, err := url.Parse(got)
		if err != nil {
			return // nothing is sent to such a host
		}
		if len(u.Query()["digest"]) != 1 || u.Query().Get("digest") != digest.String() {
			t.Fatalf("%q leads to %q", location, got)
		}
	})
}

// FuzzNextPage: the next page of a list is on the registry that was asked.
func FuzzNextPage(f *testing.F) {
	for _, link := range []string{
		`</v2/x/referrers/y?last=z&n=2>; rel="next"`, `<?n=2>; rel=next`, `<https://localhost:5000/x>;rel=next`, `<http://localhost:5000/x>;rel=next`,
		`<https://elsewhere.test/x>; rel="next"`, `<//user:word@localhost:5000/x>; rel="next"`, `<%zz>; rel=next`, `<>; rel=next`, `<x>; rel="prev"`, "",
		`<file:///etc/passwd>; rel=next`, `<x>; rel="prev", <y>; rel="next"`,
	} {
		f.Add(link, 1)
	}
	f.Add(`<?n=2>; rel=next`, 0)
	at := "https://localhost:5000/v2/x/referrers/sha256:00"
	f.Fuzz(func(t *testing.T, link string, got int) {
		next, err := nextPage(at, http.Header{"Link": {link}}, got)
		if err != nil || next == "" {
			return
		}
		u, err := url.Parse(next)
		if err != nil {
			return // nothing is sent to such a host
		}
		if got == 0 || u.Host != "localhost:5000" || u.Scheme != "https" || u.User != nil {
			t.Fatalf("%q leads to %s", link, u.Redacted())
		}
	})
}

// FuzzRetryAfter: whatever a registry asks for is a time that can be waited.
func FuzzRetryAfter(f *testing.F) {
	for _, text := range []string{"", "0", "7", "-1", "1e9", "99999999999999999999", "0x10", "Fri, 31 Dec 9999 23:59:59 GMT", "Friday, 31-Dec-99 23:59:59 GMT", "Fri Dec 31 23:59:59 1999", " 5 ", "5, 6"} {
		f.Add(text)
	}
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	f.Fuzz(func(t *testing.T, text string) {
		if got := retryAfter(http.Header{"Retry-After": {text}}, now); got < 0 {
			t.Fatalf("%q is %s", text, got)
		}
	})
}
