package program

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"slipway/sign/step/attach"
	"slipway/step"
	"slipway/step/result/sign"
)

// statementFlags are the statements to sign.
type statementFlags struct{ predicate, predicateType, folder *string }

func addStatements(set *flag.FlagSet) statementFlags {
	return statementFlags{
		predicate:     set.String("predicate", "", "file with a predicate to attest, a JSON object"),
		predicateType: set.String("predicate-type", "", "that predicate's type, a URI"),
		folder:        set.String("statements", "", "folder whose *.statement.json files are statements to attest: {\"predicateType\": URI, \"predicate\": {…}} or, with the predicate in another file of the folder, {\"predicateType\": URI, \"predicateFile\": NAME}; \"envelope\": \"dsse\" leaves the bundle out"),
	}
}

// requests reads the statements: the single one first, then the folder's in the
// order of their files' names.
func (s statementFlags) requests(claims map[string]string) ([]attach.Request, error) {
	var all []attach.Request
	if *s.predicate != "" || *s.predicateType != "" {
		predicate, err := read("sign", "--predicate", *s.predicate)
		if err != nil {
			return nil, err
		}
		if len(predicate) == 0 {
			return nil, step.Input("sign", "predicate "+*s.predicate, "is empty", "give one JSON object")
		}
		all = append(all, attach.Request{PredicateType: *s.predicateType, Predicate: predicate, Annotations: claims})
	}
	if *s.folder == "" {
		return all, nil
	}
	entries, err := os.ReadDir(*s.folder)
	if err != nil {
		var path *os.PathError
		if errors.As(err, &path) {
			err = path.Err
		}
		return nil, step.Input("sign", "--statements "+*s.folder, "can't be read: "+err.Error(), "give a folder of statements").Because(err)
	}
	slices.SortFunc(entries, func(a, b os.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	for _, entry := range entries {
		if !strings.HasSuffix(entry.Name(), statementSuffix) {
			continue
		}
		request, err := readStatement(*s.folder, entry.Name())
		if err != nil {
			return nil, err
		}
		request.Annotations = claims
		all = append(all, request)
	}
	return all, nil
}

// statementSuffix ends the name of a file that is a statement.
const statementSuffix = ".statement.json"

func readStatement(folder, name string) (attach.Request, error) {
	const mend = "give an object with predicateType, and predicate or predicateFile"
	none := attach.Request{}
	file := filepath.Join(folder, name)
	data, err := read("sign", "--statements", file)
	if err != nil {
		return none, err
	}
	var given struct {
		PredicateType string          `json:"predicateType"`
		Predicate     json.RawMessage `json:"predicate"`
		PredicateFile string          `json:"predicateFile"`
		Envelope      sign.Envelope   `json:"envelope"`
	}
	if err := json.Unmarshal(data, &given); err != nil {
		return none, step.Input("sign", "statement "+file, "is not JSON: "+err.Error(), mend).Because(err)
	}
	switch {
	case (len(given.Predicate) == 0) == (given.PredicateFile == ""):
		return none, step.Input("sign", "statement "+file, "has no predicate, or two", mend)
	case given.PredicateFile != "" && !filepath.IsLocal(given.PredicateFile):
		return none, step.Input("sign", fmt.Sprintf("statement %s: predicateFile %.80q", file, given.PredicateFile), "is not in the folder", mend)
	case given.PredicateFile != "":
		if given.Predicate, err = read("sign", "--statements", filepath.Join(folder, given.PredicateFile)); err != nil {
			return none, err
		}
	}
	switch given.Envelope {
	case "", sign.EnvelopeBundle, sign.EnvelopeDSSE:
	default:
		return none, step.Input("sign", fmt.Sprintf("statement %s: envelope %.80q", file, given.Envelope), "is not known", "use bundle or dsse")
	}
	return attach.Request{PredicateType: given.PredicateType, Predicate: given.Predicate, Envelope: given.Envelope}, nil
}
