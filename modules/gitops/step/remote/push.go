package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/go-git/go-git/v5/plumbing/format/packfile"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"

	"slipway/step"
)

// Rejected is a push that the remote received and decided against.
type Rejected struct {
	// Reason is the remote's report on the branch or the pack.
	Reason string
	// Messages are what the remote said beside it, such as a hook's output,
	// one line each.
	Messages []string
}

// Error renders the reason and the messages on one line.
func (r *Rejected) Error() string {
	return strings.Join(append([]string{r.Reason}, r.Messages...), "; ")
}

// Push asks the remote to move the branch from the change's base to its
// commit, once. An error says nothing about where the branch is now: ask
// Contains.
//
// The error is a *Rejected when the remote decided, a Fault when the
// credentials or the URL are wrong, and anything else when it is not known
// whether the push arrived.
func (r *Remote) Push(ctx context.Context, change *Change) error {
	session, err := r.client.NewReceivePackSession(r.point, r.auth)
	if err != nil {
		return err
	}
	refs, err := session.AdvertisedReferencesContext(ctx)
	if err != nil {
		return r.unlessTransient(err)
	}
	request := packp.NewReferenceUpdateRequestFromCapabilities(refs.Capabilities)
	if !request.Capabilities.Supports(capability.ReportStatus) {
		return step.Infrastructure(Stage, r.Name(), "does not report what became of a push",
			"use a Git server with the report-status capability")
	}
	var said bytes.Buffer
	if refs.Capabilities.Supports(capability.Sideband64k) {
		if err := request.Capabilities.Set(capability.Sideband64k); err != nil {
			return err
		}
		request.Progress = &said
	}
	// The remote compares Old with the branch while it holds the branch's
	// lock, so a branch that moved is never overwritten.
	request.Commands = []*packp.Command{{Name: r.branch, Old: change.base.head.Hash, New: change.Commit}}
	var pack bytes.Buffer
	if _, err := packfile.NewEncoder(&pack, change.base.store, false).Encode(change.objects, 0); err != nil {
		return fmt.Errorf("encode the pack: %w", err)
	}
	request.Packfile = io.NopCloser(&pack)
	report, err := session.ReceivePack(ctx, request)
	if report == nil {
		if err == nil {
			err = errors.New("the remote did not report what became of the push")
		}
		return r.unlessTransient(err)
	}
	if err == nil && len(report.CommandStatuses) == 1 && report.CommandStatuses[0].ReferenceName == r.branch {
		return nil
	}
	rejected := &Rejected{Reason: "no report on the branch", Messages: lines(said.String())}
	if err != nil {
		rejected.Reason = reason(err)
	}
	return rejected
}

// unlessTransient makes a Fault of an error that another try can't cure.
func (r *Remote) unlessTransient(err error) error {
	if transient(err) {
		return err
	}
	return r.fault(err, "a push", 1)
}

// lines splits what a remote said into lines that are safe to show: printable,
// and not endless.
func lines(text string) []string {
	const most, width = 20, 300
	var out []string
	for _, line := range strings.FieldsFunc(text, func(c rune) bool { return c == '\n' || c == '\r' }) {
		line = strings.TrimSpace(strings.Map(func(c rune) rune {
			if c < ' ' || c == 0x7f {
				return -1
			}
			return c
		}, line))
		if line == "" {
			continue
		}
		if len(line) > width {
			line = strings.ToValidUTF8(line[:width], "") + "…"
		}
		if out = append(out, line); len(out) == most {
			break
		}
	}
	return out
}
