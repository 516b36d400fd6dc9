package rules

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"strings"
	"time"

	"slipway/step"
)

// Database is a vulnerability database that may decide.
type Database struct {
	// Repository and Tag are where it is asked for.
	Repository string `json:"repository"`
	Tag        string `json:"tag"`
	// MaxAge is how old it may be.
	MaxAge time.Duration `json:"maxAge"`
	// Trust is why it is believed: what SignedByKey, SignedByIdentities or Pinned
	// returns, or Unsigned.
	Trust string `json:"trust"`
}

// Unsigned is the trust in a database for which nobody vouches.
const Unsigned = "unsigned"

// Verified reports whether somebody vouches for the database: a signer, or a digest.
func (d Database) Verified() bool { return d.Trust != "" && d.Trust != Unsigned }

const pinned = "digest "

// Pinned is the trust in the one database that has a digest.
func Pinned(digest string) string { return pinned + digest }

// SignedByKey is the trust in what the holder of a key signs, by its PEM public key.
func SignedByKey(public []byte) (string, error) {
	block, rest := pem.Decode(public)
	if block == nil || strings.TrimSpace(string(rest)) != "" {
		return "", step.Input("config", "public key of the vulnerability database", "is not one PEM block", "give the cosign.pub of who signs it")
	}
	if _, err := x509.ParsePKIXPublicKey(block.Bytes); err != nil {
		return "", step.Input("config", "public key of the vulnerability database", "can't be read", "give the cosign.pub of who signs it").Because(err)
	}
	return "signed by key " + sum(block.Bytes), nil
}

// SignedByIdentities is the trust in what identities sign: a JSON list of them, their
// Sigstore's trusted root, and how many logs must vouch.
func SignedByIdentities(identities string, trustedRoot []byte, logs, certificateLogs int) string {
	data, err := json.Marshal([]string{identities, sum(trustedRoot), fmt.Sprint(logs), fmt.Sprint(certificateLogs)})
	if err != nil {
		panic(err) // strings always encode
	}
	return "signed by identities " + sum(data)
}

func sum(data []byte) string {
	digest := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(digest[:])
}

// lets refuses a database that nobody has vouched for, that is not the one that is
// pinned, or whose age can't be trusted.
func (d Database) lets(in Scanned) error {
	const stage = "scan"
	db := in.Findings.Database
	subject := "vulnerability database " + db.Digest
	const mend = "publish a current database and check its mirror job, or raise scan.database.maxAge"
	want, isPinned := strings.CutPrefix(d.Trust, pinned)
	switch {
	case d.Trust == "":
		return step.Policy(stage, subject, "was not checked: nothing says why it is believed", "say in scan.database who signs it, pin its digest, or accept it with trust: "+Unsigned)
	case isPinned && db.Digest != want:
		return step.Policy(stage, subject, "is not the one that is pinned, "+want, "scan again, or pin this one as scan.database.digest")
	case db.Digest == "" || db.UpdatedAt.IsZero():
		return step.Policy(stage, subject, "does not say when it was made", mend)
	case d.MaxAge <= 0:
		return step.Input(stage, "scan.database.maxAge", "is not positive", "give how old the database may be, such as 48h")
	case db.UpdatedAt.After(in.Now.Add(skew)):
		return step.Policy(stage, subject, "was made in the future, at "+db.UpdatedAt.UTC().Format(time.RFC3339), "check the clocks, then "+mend)
	case in.Now.Sub(db.UpdatedAt) > d.MaxAge:
		return step.Policy(stage, subject, fmt.Sprintf("is stale: made at %s, older than %s", db.UpdatedAt.UTC().Format(time.RFC3339), d.MaxAge), mend)
	}
	return nil
}
