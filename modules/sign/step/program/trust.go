package program

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"slipway/sign/step/bundle"
	"slipway/sign/step/key"
	"slipway/step"
)

// trustFlags are who must have signed: a key or an identity.
type trustFlags struct {
	publicKey *string
	identity  *identityFlags
}

func addTrust(set *flag.FlagSet) *trustFlags {
	return &trustFlags{
		publicKey: set.String("public-key", "", "PEM public key that must have signed (this, or an identity)"),
		identity:  addIdentity(set),
	}
}

// read reads what the flags name; every failure is a fault.
func (t *trustFlags) read(stage string) (*bundle.Trust, error) {
	other := t.identity.given()
	switch {
	case *t.publicKey != "" && other != "":
		return nil, step.Input(stage, "--public-key", "is given beside "+other, "trust one key or one identity, and leave the other's flags out")
	case *t.publicKey == "" && other == "":
		return nil, step.Input(stage, "--public-key", "is not given, and no identity either",
			"give --public-key, or --certificate-identity, --certificate-oidc-issuer and --trusted-root")
	case other == "":
		return t.readKey(stage)
	}
	return t.identity.read(stage)
}

// identityFlags are an identity and the evidence for it.
type identityFlags struct {
	set      *flag.FlagSet
	identity bundle.Identity
	list     *string
	root     *string
	logs     *int
	certLogs *int
	times    *int
	degraded *time.Duration
}

var identityFlagNames = []string{
	"certificate-identity", "certificate-identity-regexp", "certificate-oidc-issuer", "certificate-oidc-issuer-regexp",
	"identities", "trusted-root", "min-logs", "min-certificate-logs", "min-timestamps", "accept-degraded",
}

func addIdentity(set *flag.FlagSet) *identityFlags {
	i := &identityFlags{
		set:      set,
		list:     set.String("identities", "", "file with a JSON list of identities instead, of which any may have signed: issuer or issuerPattern, and subject or subjectPattern"),
		root:     set.String("trusted-root", "", "trusted_root.json of the identity's Sigstore (required with an identity)"),
		logs:     set.Int("min-logs", 1, "transparency logs that must hold a signature by the identity; 0 asks none"),
		certLogs: set.Int("min-certificate-logs", 1, "certificate transparency logs that must vouch for the certificate; 0 asks none"),
		times:    set.Int("min-timestamps", 1, "times, by logs or timestamp authorities, at which the certificate must have been valid; at least 1"),
		degraded: set.Duration("accept-degraded", 0, "how long after its time a signature counts that is marked degraded, such as 24h; never by default"),
	}
	set.StringVar(&i.identity.Subject, "certificate-identity", "", "subject alternative name of the certificate that must have signed")
	set.StringVar(&i.identity.SubjectPattern, "certificate-identity-regexp", "", "the same, as a pattern that all of the name matches")
	set.StringVar(&i.identity.Issuer, "certificate-oidc-issuer", "", "OIDC issuer that the certificate must name")
	set.StringVar(&i.identity.IssuerPattern, "certificate-oidc-issuer-regexp", "", "the same, as a pattern that all of the issuer matches")
	return i
}

// given names the first of the flags that is set.
func (i *identityFlags) given() string {
	set := map[string]bool{}
	i.set.Visit(func(f *flag.Flag) { set[f.Name] = true })
	for _, name := range identityFlagNames {
		if set[name] {
			return "--" + name
		}
	}
	return ""
}

func (t *trustFlags) readKey(stage string) (*bundle.Trust, error) {
	data, err := read(stage, "--public-key", *t.publicKey)
	if err != nil {
		return nil, err
	}
	public, err := key.ParsePublic(data)
	if err != nil {
		return nil, step.Input(stage, "public key "+*t.publicKey, err.Error(), "give the cosign.pub of the signing key").Because(err)
	}
	return bundle.TrustKey(public), nil
}

// read reads what the flags name; every failure is a fault.
func (i *identityFlags) read(stage string) (*bundle.Trust, error) {
	identities, err := i.identities(stage)
	if err != nil {
		return nil, err
	}
	if *i.degraded < 0 {
		return nil, step.Input(stage, "--accept-degraded "+i.degraded.String(), "is negative", "give a time such as 24h, or leave it out")
	}
	evidence := bundle.Evidence{Degraded: *i.degraded}
	for _, c := range []struct {
		flag  string
		value int
		least int
		into  *int
	}{
		{"--min-logs", *i.logs, 0, &evidence.Logs},
		{"--min-certificate-logs", *i.certLogs, 0, &evidence.CertificateLogs},
		{"--min-timestamps", *i.times, 1, &evidence.Timestamps},
	} {
		if c.value < c.least {
			return nil, step.Input(stage, c.flag+" "+strconv.Itoa(c.value), "is too small", "give "+strconv.Itoa(c.least)+" or more")
		}
		*c.into = c.value
		if c.value == 0 {
			*c.into = bundle.None
		}
	}
	data, err := read(stage, "--trusted-root", *i.root)
	if err != nil {
		return nil, err
	}
	root, err := bundle.ParseRoot(data)
	if err != nil {
		return nil, step.Input(stage, "trusted root "+*i.root, line(err), "give the trusted_root.json that the Sigstore publishes through TUF").Because(err)
	}
	trust, err := bundle.TrustIdentities(identities, root, evidence)
	if errors.Is(err, bundle.ErrTrust) {
		return nil, step.Input(stage, "identity", line(err), "mend the identity's flags, or give the trusted root of its Sigstore").Because(err)
	}
	return trust, err
}

// identities are the one that the flags name, or those of the list.
func (i *identityFlags) identities(stage string) ([]bundle.Identity, error) {
	if *i.list != "" {
		if i.identity != (bundle.Identity{}) {
			return nil, step.Input(stage, "--identities", "is given beside an identity", "give the list alone, with the identity in it")
		}
		data, err := read(stage, "--identities", *i.list)
		if err != nil {
			return nil, err
		}
		list, err := readIdentities(data)
		if err != nil {
			return nil, step.Input(stage, "--identities "+*i.list, line(err), `give a JSON list such as [{"issuer": "https://…", "subject": "…"}]`).Because(err)
		}
		return list, nil
	}
	for _, c := range []struct{ flag, exact, pattern string }{
		{"--certificate-identity", i.identity.Subject, i.identity.SubjectPattern},
		{"--certificate-oidc-issuer", i.identity.Issuer, i.identity.IssuerPattern},
	} {
		switch {
		case c.exact == "" && c.pattern == "":
			return nil, step.Input(stage, c.flag, "is not given: a name counts only with the issuer that vouches for it", "give "+c.flag+" or "+c.flag+"-regexp")
		case c.exact != "" && c.pattern != "":
			return nil, step.Input(stage, c.flag, "is given beside "+c.flag+"-regexp", "give one of the two")
		}
	}
	return []bundle.Identity{i.identity}, nil
}

func readIdentities(data []byte) ([]bundle.Identity, error) {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	var list []bundle.Identity
	if err := decoder.Decode(&list); err != nil {
		return nil, fmt.Errorf("is no list of identities: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("holds more than a list")
	}
	if len(list) == 0 {
		return nil, errors.New("names nobody")
	}
	return list, nil
}

// line renders an error for a fault's one-line fields.
func line(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }
