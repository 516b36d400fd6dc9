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
			"give --public-key, or --identities and --trusted-root")
	case other == "":
		return t.readKey(stage)
	}
	return t.identity.read(stage)
}

// identityFlags are identities and the evidence for them.
type identityFlags struct {
	set      *flag.FlagSet
	list     *string
	root     *string
	logs     *int
	certLogs *int
	times    *int
	degraded *time.Duration
}

var identityFlagNames = []string{"identities", "trusted-root", "min-logs", "min-certificate-logs", "min-timestamps", "accept-degraded"}

func addIdentity(set *flag.FlagSet) *identityFlags {
	return &identityFlags{
		set:      set,
		list:     set.String("identities", "", "file with a JSON list of identities, of which one must have signed: issuer or issuerPattern, and subject or subjectPattern, where all of the name matches a pattern"),
		root:     set.String("trusted-root", "", "trusted_root.json of the identities' Sigstore (required with them)"),
		logs:     set.Int("min-logs", 1, "transparency logs that must hold a signature by an identity; 0 asks none"),
		certLogs: set.Int("min-certificate-logs", 1, "certificate transparency logs that must vouch for the certificate; 0 asks none"),
		times:    set.Int("min-timestamps", 1, "times, by logs or timestamp authorities, at which the certificate must have been valid; at least 1"),
		degraded: set.Duration("accept-degraded", 0, "how long after its time a signature counts that is marked degraded, such as 24h; never by default"),
	}
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
		return nil, step.Input(stage, "identity", line(err), "mend the list, or give the trusted root of its Sigstore").Because(err)
	}
	return trust, err
}

// identities are those of the list.
func (i *identityFlags) identities(stage string) ([]bundle.Identity, error) {
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
