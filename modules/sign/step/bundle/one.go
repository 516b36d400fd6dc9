package bundle

import "fmt"

// VerifyOne is Verify for who does not know the digest yet: it takes it from the
// statement, which has to be about one image only, by its sha256 digest, and
// returns it (sha256:…). Whoever asks has to know what it ought to be.
func (t *Trust) VerifyOne(data []byte) (verified *Verified, digest string, err error) {
	if digest, err = subject(data); err != nil {
		return nil, "", err
	}
	verified, err = t.Verify(data, digest)
	return verified, digest, err
}

// subject is the digest that a bundle claims to be about.
func subject(data []byte) (digest string, err error) {
	defer decided(&err)
	b, err := parse(data)
	if err != nil {
		return "", err
	}
	envelope, err := envelopeOf(b)
	if err != nil {
		return "", err
	}
	statement, err := statementOf(envelope)
	if err != nil {
		return "", err
	}
	if len(statement.Subject) != 1 || len(statement.Subject[0].Digest) != 1 || statement.Subject[0].Digest["sha256"] == "" {
		return "", fmt.Errorf("%w: its statement is not about one sha256 digest", ErrMalformed)
	}
	return "sha256:" + statement.Subject[0].Digest["sha256"], nil
}
