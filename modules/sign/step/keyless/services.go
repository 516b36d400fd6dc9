package keyless

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-openapi/runtime"
	httptransport "github.com/go-openapi/runtime/client"
	"github.com/go-openapi/strfmt"
	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	rekortiles "github.com/sigstore/rekor-tiles/v2/pkg/generated/protobuf"
	"github.com/sigstore/rekor/pkg/generated/client/entries"
	"github.com/sigstore/sigstore-go/pkg/sign"
	"google.golang.org/protobuf/encoding/protojson"
)

// Attempts is how often a service is asked before it counts as down.
const Attempts = 3

const (
	// maxAnswer is the longest answer of a service that is read.
	maxAnswer = 4 << 20
	timeout   = 30 * time.Second
)

// downError means that a service did not answer, or answered that it can't now.
type downError struct {
	service string
	err     error
}

func (d *downError) Error() string { return fmt.Sprintf("%d tries: %s", Attempts, d.err) }
func (d *downError) Unwrap() error { return d.err }

// answerError means that a service answered that it won't.
type answerError struct {
	service string
	status  int
	text    string
}

func (a *answerError) Error() string { return fmt.Sprintf("status %d: %s", a.status, a.text) }

// patient asks one service up to Attempts times, and tells by the error whether
// it is down.
type patient struct {
	ctx     context.Context
	service string
	pause   time.Duration
	base    http.RoundTripper
}

func (p *patient) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		body, err = io.ReadAll(r.Body)
		if err := errors.Join(err, r.Body.Close()); err != nil {
			return nil, err
		}
	}
	pause := p.pause
	for attempt := 1; ; attempt++ {
		response, err := p.once(r, body)
		var answer *answerError
		switch {
		case err == nil:
			return response, nil
		case p.ctx.Err() != nil:
			return nil, p.ctx.Err()
		case errors.As(err, &answer):
			return nil, err
		case attempt == Attempts:
			return nil, &downError{service: p.service, err: err}
		}
		select {
		case <-p.ctx.Done():
			return nil, p.ctx.Err()
		case <-time.After(pause):
			pause *= 2
		}
	}
}

// once sends the request and reads the whole answer.
func (p *patient) once(r *http.Request, body []byte) (*http.Response, error) {
	ctx, cancel := context.WithTimeout(r.Context(), timeout)
	defer cancel()
	defer context.AfterFunc(p.ctx, cancel)()
	request := r.Clone(ctx)
	request.Body, request.ContentLength = http.NoBody, int64(len(body))
	if len(body) > 0 {
		request.Body = io.NopCloser(bytes.NewReader(body))
	}
	response, err := p.base.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	data, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err != nil {
		return nil, err
	}
	response.Body = io.NopCloser(bytes.NewReader(data))
	text := strings.TrimSpace(string(data[:min(len(data), 200)]))
	switch {
	case response.StatusCode >= 500 || response.StatusCode == http.StatusTooManyRequests || response.StatusCode == http.StatusRequestTimeout:
		return nil, fmt.Errorf("status %d: %s", response.StatusCode, text)
	case len(data) > maxAnswer:
		return nil, &answerError{service: p.service, status: response.StatusCode, text: "answer is too large"}
	case response.StatusCode == http.StatusConflict:
		// A log has the entry already, which its client reads.
	case response.StatusCode >= 300:
		// No redirect is followed: it would carry the token elsewhere.
		return nil, &answerError{service: p.service, status: response.StatusCode, text: text}
	}
	return response, nil
}

// newLog is sigstore-go's client of a log, over our transport.
func newLog(log Log, transport http.RoundTripper) (sign.Transparency, error) {
	base, err := url.Parse(strings.TrimSuffix(log.URL, "/"))
	if err != nil {
		return nil, err
	}
	client := &http.Client{Transport: transport}
	options := &sign.RekorOptions{BaseURL: base.String(), Version: log.Version, Timeout: -1}
	switch log.Version {
	case 1:
		path := base.Path
		if path == "" {
			path = "/"
		}
		rest := httptransport.NewWithClient(base.Host, path, []string{base.Scheme}, client)
		rest.Consumers["application/json"] = runtime.JSONConsumer()
		rest.Producers["application/json"] = runtime.JSONProducer()
		options.Client = entries.New(rest, strfmt.Default)
	case 2:
		options.ClientV2 = &tiles{base: base, client: client}
	}
	return careful{sign.NewRekor(options), log.URL}, nil
}

// careful makes an error of an answer that sigstore-go's client falls over.
type careful struct {
	sign.Transparency
	service string
}

func (c careful) GetTransparencyLogEntry(ctx context.Context, verifier []byte, b *protobundle.Bundle) (err error) {
	defer func() {
		if recover() != nil {
			err = &answerError{service: c.service, status: http.StatusOK, text: "the log's entry can't be read"}
		}
	}()
	err = c.Transparency.GetTransparencyLogEntry(ctx, verifier, b)
	var down *downError
	var answer *answerError
	if err == nil || errors.As(err, &down) || errors.As(err, &answer) {
		return err
	}
	return &answerError{service: c.service, status: http.StatusOK, text: err.Error()}
}

// tiles writes to a log with Rekor's API 2.
type tiles struct {
	base   *url.URL
	client *http.Client
}

func (t *tiles) Add(ctx context.Context, entry any) (*protorekor.TransparencyLogEntry, error) {
	record, ok := entry.(*rekortiles.HashedRekordRequestV002)
	if !ok {
		return nil, fmt.Errorf("entry is a %T", entry)
	}
	body, err := protojson.Marshal(&rekortiles.CreateEntryRequest{Spec: &rekortiles.CreateEntryRequest_HashedRekordRequestV002{HashedRekordRequestV002: record}})
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, t.base.JoinPath("api/v2/log/entries").String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := t.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusCreated {
		return nil, fmt.Errorf("status %d", response.StatusCode)
	}
	var made protorekor.TransparencyLogEntry
	if err := protojson.Unmarshal(data, &made); err != nil {
		return nil, fmt.Errorf("entry: %w", err)
	}
	return &made, nil
}
