// Package ask sends small requests to the services that give tokens: with bounded
// tries, and to nobody else than who was asked.
package ask

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"slipway/step/printable"
)

const (
	// Tries is how often a service is asked before it counts as down.
	Tries = 3

	most    = 1 << 20
	timeout = 30 * time.Second
	// patience is the longest wait that a service may ask for.
	patience = 20 * time.Second
)

// Pause is the wait before the second try; it doubles after that. Tests shorten it.
var Pause = 500 * time.Millisecond

// Answer is what a service said, read to its end.
type Answer struct {
	Status int
	Body   []byte
}

// Text is the beginning of the answer on one line, without the given secrets.
func (a *Answer) Text(secrets ...string) string {
	const longest = 400
	text := strings.Join(strings.Fields(string(a.Body)), " ")
	for _, secret := range secrets {
		if secret != "" {
			text = strings.ReplaceAll(text, secret, "***")
		}
	}
	if len(text) > longest {
		text = text[:longest] + "…"
	}
	return printable.Line(strings.ToValidUTF8(text, "?"))
}

// Client follows no redirect: it would carry a token elsewhere.
func Client(transport http.RoundTripper) *http.Client {
	return &http.Client{
		Transport: transport, Timeout: timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Do asks until there is an answer that another try would not change. An error
// means that there is none: the service is down, or says that it can't now.
func Do(ctx context.Context, client *http.Client, request func(context.Context) (*http.Request, error)) (*Answer, error) {
	pause := Pause
	for try := 1; ; try++ {
		answer, wait, err := once(ctx, client, request)
		if err == nil {
			return answer, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if try == Tries {
			return nil, fmt.Errorf("%d tries: %w", Tries, err)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(max(pause, min(wait, patience))):
			pause *= 2
		}
	}
}

func once(ctx context.Context, client *http.Client, request func(context.Context) (*http.Request, error)) (*Answer, time.Duration, error) {
	r, err := request(ctx)
	if err != nil {
		return nil, 0, err
	}
	response, err := client.Do(r)
	if err != nil {
		return nil, 0, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, most+1))
	if err != nil {
		return nil, 0, err
	}
	if len(body) > most {
		return nil, 0, fmt.Errorf("status %d with an answer longer than %d bytes", response.StatusCode, most)
	}
	if s := response.StatusCode; s >= 500 || s == http.StatusTooManyRequests || s == http.StatusRequestTimeout {
		seconds, _ := strconv.Atoi(response.Header.Get("Retry-After"))
		return nil, time.Duration(max(seconds, 0)) * time.Second, fmt.Errorf("status %d", s)
	}
	return &Answer{Status: response.StatusCode, Body: body}, 0, nil
}
