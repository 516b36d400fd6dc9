package bundle

import (
	"fmt"
	"maps"
	"strings"
	"time"

	results "slipway/step/result/sign"
)

// The annotations of the mark; ReservedAnnotation tells them.
const (
	degradedAnnotation = "slipway.degraded"
	expiresAnnotation  = "slipway.expires"
)

// ReservedAnnotation says whether an annotation belongs to the mark, so that
// nobody else may make that claim.
func ReservedAnnotation(name string) bool {
	return name == degradedAnnotation || name == expiresAnnotation
}

// Degrade returns a copy of the statement with the mark on its subject digest.
func (s *Statement) Degrade(digest string, mark results.Degraded) (*Statement, error) {
	algorithm, hex, _ := strings.Cut(digest, ":")
	marked := *s
	marked.Subject = nil
	found := false
	for _, subject := range s.Subject {
		if subject.Digest[algorithm] == hex {
			subject.Annotations = maps.Clone(subject.Annotations)
			if subject.Annotations == nil {
				subject.Annotations = map[string]string{}
			}
			subject.Annotations[degradedAnnotation] = strings.Join(mark.Missing, " ")
			subject.Annotations[expiresAnnotation] = mark.Expires.UTC().Format(time.RFC3339)
			found = true
		}
		marked.Subject = append(marked.Subject, subject)
	}
	if !found {
		return nil, fmt.Errorf("statement is not about %s", digest)
	}
	return &marked, nil
}

// Degraded is the statement's mark, nil when it has none. A mark that can't be
// read is an error, as is half of one.
func (s *Statement) Degraded(digest string) (*results.Degraded, error) {
	algorithm, hex, _ := strings.Cut(digest, ":")
	var mark *results.Degraded
	for _, subject := range s.Subject {
		if subject.Digest[algorithm] != hex {
			continue
		}
		missing, degraded := subject.Annotations[degradedAnnotation]
		text, expires := subject.Annotations[expiresAnnotation]
		if !degraded && !expires {
			continue
		}
		at, err := time.Parse(time.RFC3339, text)
		if err != nil || !degraded {
			return nil, fmt.Errorf("%w: it is marked degraded, and the mark can't be read", ErrUntrusted)
		}
		if mark == nil || at.Before(mark.Expires) {
			mark = &results.Degraded{Missing: strings.Fields(missing), Expires: at}
		}
	}
	return mark, nil
}

// inTime refuses a degraded statement that no longer counts.
func (s *Statement) inTime(digest string, now time.Time) (*results.Degraded, error) {
	mark, err := s.Degraded(digest)
	if err != nil {
		return nil, err
	}
	if mark != nil && !now.Before(mark.Expires) {
		return nil, fmt.Errorf("%w: its degraded signature (without %s) counted until %s", ErrUntrusted,
			strings.Join(mark.Missing, ", "), mark.Expires.UTC().Format(time.RFC3339))
	}
	return mark, nil
}
