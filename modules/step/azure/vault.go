package azure

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"slipway/step"
	"slipway/step/internal/ask"
)

// KeyScheme begins the URI of a key in a vault.
const KeyScheme = "azurekms://"

const (
	keyForm = KeyScheme + "VAULT.vault.azure.net/KEY"
	// vaultVersion is the version of the vaults' API.
	// https://learn.microsoft.com/rest/api/keyvault/keys/operation-groups
	vaultVersion = "7.4"
)

// keyURI is a vault's host, and a key's name and perhaps its version, as cosign
// writes it or with the path that Azure shows.
var keyURI = regexp.MustCompile(`\Aazurekms://([a-z0-9][a-z0-9.-]*)/(?:keys/)?([0-9A-Za-z-]{1,127})(?:/([0-9a-f]{32}))?\z`)

// Key is a version of a key that stays in its vault.
type Key struct {
	// Public is its public half: ECDSA on a NIST curve, or RSA.
	Public crypto.PublicKey

	credential *Credential
	input, url string
	kind       string
}

// Key asks a vault for a key, by its URI; without a version it is the newest, from
// then on. Every failure is a fault, and none holds a token.
func (c *Credential) Key(ctx context.Context, uri string) (*Key, error) {
	parts, input := keyURI.FindStringSubmatch(uri), fmt.Sprintf("key URI %.200q", uri)
	if parts == nil {
		return nil, step.Input(c.stage, input, "names no key of a vault", "give it as "+keyForm+", with /VERSION behind it for one that is not the newest")
	}
	host, name, version := parts[1], parts[2], parts[3]
	cloud, err := c.Cloud(ctx)
	if err != nil {
		return nil, err
	}
	if !below(host, cloud.Vaults) {
		return nil, step.Input(c.stage, input, "is in no vault of the identity's cloud: their names end in ."+cloud.Vaults, "give the key of a vault, or name its cloud by with-azure-cloud")
	}
	k := &Key{credential: c, input: input, url: "https://" + host + "/keys/" + name + "/" + version}
	var answer struct {
		Key        jwk `json:"key"`
		Attributes struct {
			Enabled bool `json:"enabled"`
		} `json:"attributes"`
	}
	if err := k.ask(ctx, http.MethodGet, strings.TrimSuffix(k.url, "/"), "https://"+cloud.Vaults, nil, &answer); err != nil {
		return nil, err
	}
	found := regexp.MustCompile(`\Ahttps://` + regexp.QuoteMeta(host) + `/keys/(?i:` + name + `)/([0-9a-f]{32})\z`).FindStringSubmatch(answer.Key.ID)
	switch {
	case found == nil || version != "" && found[1] != version:
		return nil, step.Infrastructure(c.stage, input, "is answered with another key", "see what answers at "+host)
	case !answer.Attributes.Enabled:
		return nil, step.Input(c.stage, input, "is switched off", "name a key that is enabled, or the newest version")
	case !slices.Contains(answer.Key.Ops, "sign"):
		return nil, step.Input(c.stage, input, "is not for signing", "name a key whose permitted operations have sign")
	}
	if k.Public, k.kind, err = answer.Key.public(); err != nil {
		return nil, step.Input(c.stage, input, err.Error(), "name an EC key on P-256, P-384 or P-521, or an RSA key").Because(err)
	}
	k.url = answer.Key.ID
	return k, nil
}

// Sign lets the vault sign a digest. The signature is as Go's packages write it: in
// ASN.1 for ECDSA, PKCS #1 v1.5 for RSA.
func (k *Key) Sign(ctx context.Context, digest []byte, hash crypto.Hash) ([]byte, error) {
	if len(digest) != hash.Size() {
		return nil, fmt.Errorf("a digest of %d bytes is none of %s", len(digest), hash)
	}
	cloud, err := k.credential.Cloud(ctx)
	if err != nil {
		return nil, err
	}
	asked, err := json.Marshal(map[string]string{"alg": fmt.Sprintf("%s%d", k.kind, hash.Size()*8), "value": base64.RawURLEncoding.EncodeToString(digest)})
	if err != nil {
		return nil, err
	}
	var answer struct {
		Value string `json:"value"`
	}
	if err := k.ask(ctx, http.MethodPost, k.url+"/sign", "https://"+cloud.Vaults, asked, &answer); err != nil {
		return nil, err
	}
	signature, err := base64.RawURLEncoding.DecodeString(answer.Value)
	if err != nil || len(signature) == 0 || len(signature)%2 != 0 {
		return nil, step.Infrastructure(k.credential.stage, k.input, "is answered without a signature", "see what answers at "+k.url)
	}
	if k.kind == "RS" {
		return signature, nil
	}
	half := len(signature) / 2
	return asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(signature[:half]), new(big.Int).SetBytes(signature[half:])})
}

// ask sends a request to the vault, with a token for vaults.
func (k *Key) ask(ctx context.Context, method, address, audience string, body []byte, into any) error {
	c := k.credential
	return c.with(ctx, audience, func(token string) (denied bool, err error) {
		return k.once(ctx, method, address, token, body, into)
	})
}

func (k *Key) once(ctx context.Context, method, address, token string, body []byte, into any) (denied bool, err error) {
	c := k.credential
	answer, err := ask.Do(ctx, c.client, func(ctx context.Context) (*http.Request, error) {
		r, err := http.NewRequestWithContext(ctx, method, address+"?api-version="+vaultVersion, bytes.NewReader(body))
		if err != nil {
			return nil, err
		}
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("Content-Type", "application/json")
		return r, nil
	})
	if err != nil {
		return false, step.Infrastructure(c.stage, k.input, "its vault can't be asked: "+err.Error(), "see that there is such a vault, and that it can be reached from here, then run the stage again").Because(err)
	}
	said := answer.Text(token)
	switch answer.Status {
	case http.StatusOK:
	case http.StatusUnauthorized:
		return true, step.Input(c.stage, k.input, "its vault does not take the identity's token: "+said, "use an identity of the vault's own tenant: client "+c.identity.ClientID+" is of tenant "+c.identity.TenantID)
	case http.StatusForbidden:
		return false, step.Input(c.stage, k.input, "is not for the identity "+c.identity.ClientID+": "+said,
			"give it the role Key Vault Crypto User on this key, which a vault with Azure RBAC takes some minutes for, and let the vault's network rules admit this machine")
	case http.StatusNotFound:
		return false, step.Input(c.stage, k.input, "is not in the vault", "name a key, and perhaps its version, that az keyvault key list shows")
	default:
		return false, step.Input(c.stage, k.input, fmt.Sprintf("is refused with status %d: %s", answer.Status, said), "see what the vault says")
	}
	if err := json.Unmarshal(answer.Body, into); err != nil {
		return false, step.Infrastructure(c.stage, k.input, "its vault's answer can't be read", "see what answers at "+address).Because(err)
	}
	return false, nil
}

// jwk is the public half of a key, as RFC 7517 and the vaults write it.
type jwk struct {
	ID    string   `json:"kid"`
	Type  string   `json:"kty"`
	Curve string   `json:"crv"`
	Ops   []string `json:"key_ops"`
	X     string   `json:"x"`
	Y     string   `json:"y"`
	N     string   `json:"n"`
	E     string   `json:"e"`
}

var curves = map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521()}

// public is the key, and what the names of its algorithms begin with.
func (j jwk) public() (crypto.PublicKey, string, error) {
	curve, known := curves[j.Curve]
	switch kind := strings.TrimSuffix(j.Type, "-HSM"); {
	case kind == "EC" && known:
		size := (curve.Params().BitSize + 7) / 8
		point := make([]byte, 1+2*size)
		point[0] = 4
		for i, text := range []string{j.X, j.Y} {
			part, err := base64.RawURLEncoding.DecodeString(text)
			if err != nil || len(part) > size {
				return nil, "", errors.New("has a point that can't be read")
			}
			copy(point[1+(i+1)*size-len(part):], part)
		}
		key, err := ecdsa.ParseUncompressedPublicKey(curve, point)
		if err != nil {
			return nil, "", fmt.Errorf("has a point that is none: %w", err)
		}
		return key, "ES", nil
	case kind == "RSA":
		n, errN := base64.RawURLEncoding.DecodeString(j.N)
		e, errE := base64.RawURLEncoding.DecodeString(j.E)
		key := &rsa.PublicKey{N: new(big.Int).SetBytes(n)}
		if exponent := new(big.Int).SetBytes(e); exponent.BitLen() < 32 {
			key.E = int(exponent.Int64())
		}
		if errN != nil || errE != nil || key.N.BitLen() < 2048 || key.N.BitLen() > 16384 || key.E < 3 || key.E%2 == 0 {
			return nil, "", errors.New("has a modulus or an exponent that can't be used")
		}
		return key, "RS", nil
	}
	return nil, "", fmt.Errorf("is of kind %.20q on %.20q", j.Type, j.Curve)
}
