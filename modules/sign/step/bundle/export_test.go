package bundle

import results "slipway/step/result/sign"

// VerifyAny is Verify for a bundle of either content: a statement of any version
// that has the digest (sha256:…) among its subjects, or a signature of the
// digest itself. It returns who signed, and knows no degraded mark.
func (t *Trust) VerifyAny(data []byte, digest string) (signer *results.Signer, err error) {
	defer decided(&err)
	b, err := parse(data)
	if err != nil {
		return nil, err
	}
	result, err := t.check(b, digest)
	if err != nil {
		return nil, err
	}
	who := t.signer(result)
	return &who, nil
}
