package registry

import (
	"net/http"
	"net/url"
	"testing"
)

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
	at := &url.URL{Scheme: "https", Host: "localhost:5000", Path: "/v2/x/referrers/sha256:00"}
	f.Fuzz(func(t *testing.T, link string, got int) {
		next, err := nextPage(at, http.Header{"Link": {link}}, got)
		if err != nil || next == nil {
			return
		}
		if got == 0 || next.Host != at.Host || next.Scheme != at.Scheme || next.User != nil {
			t.Fatalf("%q leads to %s", link, next.Redacted())
		}
	})
}
