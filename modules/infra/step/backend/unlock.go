package backend

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"slipway/step"
)

const (
	tries   = 3
	timeout = 30 * time.Second
)

// backoff is the pause before the second try; the third waits twice that.
var backoff = 200 * time.Millisecond

// Unlock gives back the lock of an http backend with this ID, which a killed
// run left behind. Terraform's own force-unlock can't: its http backend forgets
// the ID that it is given. A server that names another holder makes a policy Fault; one that
// doesn't answer, after three tries, an infrastructure Fault.
func (e Endpoint) Unlock(ctx context.Context, stage, id string) error {
	address, err := dial(e.Connect, stage, e.Config.HTTP.UnlockAddress)
	if err != nil {
		return err
	}
	info, err := json.Marshal(map[string]string{"ID": id})
	if err != nil {
		return fmt.Errorf("encode lock info: %w", err)
	}
	what := e.Config.HTTP.UnlockMethod + " " + e.Config.HTTP.UnlockAddress
	var last error
	for try := range tries {
		if try > 0 {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(backoff << (try - 1)):
			}
		}
		status, err := e.unlock(ctx, address, info)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			last = err
		case status == http.StatusOK || status == http.StatusNoContent:
			return nil
		case status == http.StatusConflict || status == http.StatusLocked:
			return step.Policy(stage, what, "the lock "+id+" is not the one that is held",
				"give the ID that the refusal named")
		case status >= 500:
			last = fmt.Errorf("status %d", status)
		default:
			return step.Infrastructure(stage, what, fmt.Sprintf("answered %d", status),
				"check the unlock address and its credentials")
		}
	}
	return step.Infrastructure(stage, what, fmt.Sprintf("failed %d times, last: %v", tries, last),
		"see that the state backend runs, then try again").Because(last)
}

func (e Endpoint) unlock(ctx context.Context, address string, info []byte) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, e.Config.HTTP.UnlockMethod, address, bytes.NewReader(info))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	if e.Config.HTTP.Username != "" {
		req.SetBasicAuth(e.Config.HTTP.Username, e.Password)
	}
	client := http.Client{
		// No proxy from the environment, and no redirect to somewhere else.
		Transport:     &http.Transport{},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	defer client.CloseIdleConnections()
	res, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	_, err = io.Copy(io.Discard, io.LimitReader(res.Body, 1<<20))
	return res.StatusCode, err
}
