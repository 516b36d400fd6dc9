package commit

import (
	"errors"
	"fmt"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"

	"slipway/step/result/build"
)

// Order says how two commits of the repository stand to each other. Of a commit that
// the checkout does not have, as a shallow one lacks most, nothing is known: it is no
// ancestor.
func Order(repository, source, older, newer string) (build.Order, error) {
	h, err := open(repository, source)
	if err != nil {
		return build.Order{}, err
	}
	if older == newer || !shaPattern.MatchString(older) || !shaPattern.MatchString(newer) {
		return build.Order{}, nil
	}
	before, after := plumbing.NewHash(older), plumbing.NewHash(newer)
	// Mostly the second one is a few commits behind, and then it isn't looked for in a
	// whole history.
	if behind, err := h.reaches(before, after); err != nil || behind {
		return build.Order{}, err
	}
	ancestor, err := h.reaches(after, before)
	return build.Order{Ancestor: ancestor}, err
}

// reaches says whether wanted is in the history of from, as far as the repository has it.
func (h *head) reaches(from, wanted plumbing.Hash) (bool, error) {
	seen := map[plumbing.Hash]bool{from: true}
	for queue := []plumbing.Hash{from}; len(queue) > 0; queue = queue[1:] {
		if queue[0] == wanted {
			return true, nil
		}
		commit, err := object.GetCommit(h.store, queue[0])
		if errors.Is(err, plumbing.ErrObjectNotFound) {
			continue
		}
		if err != nil {
			return false, unfit(fmt.Sprintf("can't be read: it has a broken commit %s", queue[0]), wholeClone).Because(err)
		}
		for _, parent := range commit.ParentHashes {
			if !seen[parent] {
				seen[parent] = true
				queue = append(queue, parent)
			}
		}
	}
	return false, nil
}
