package azure

import (
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"time"
)

// storageAudience is that of every cloud.
const storageAudience = "https://storage.azure.com"

// Certificate is what a service at this machine, at localhost, shows so that the
// stand-in passes requests on to it: certificate and key, in PEM.
func (s *Server) Certificate() (certificate, key []byte, err error) {
	leaf, err := s.pki.leaf("localhost")
	if err != nil {
		return nil, nil, err
	}
	private, ok := leaf.PrivateKey.(*ecdsa.PrivateKey)
	if !ok {
		return nil, nil, errors.New("the authority has made a key of another kind")
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	return encode(leaf.Certificate[0]), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), err
}

// blobActions are the data actions on blobs, by method.
var blobActions = map[string]string{
	http.MethodGet: "read", http.MethodHead: "read", http.MethodPut: "write", http.MethodDelete: "delete",
}

// blob asks who it is and what they may, and passes their request on to the blob
// service, which knows nothing of roles. It returns the client that asked.
func (s *Server) blob(account string, w http.ResponseWriter, r *http.Request) string {
	c, err := s.bearer(r, storageAudience)
	if err != nil {
		storageFault(w, http.StatusUnauthorized, err.code, err.message)
		return ""
	}
	container, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	s.mu.Lock()
	id := ""
	for _, stored := range s.store {
		if stored.kind == "microsoft.storage/storageaccounts" && stored.name == account {
			id = stored.id + "/blobServices/default/containers/" + container
		}
	}
	action, known := blobActions[r.Method]
	there := s.store[key(id)] != nil
	allowed := known && s.may(c.ObjectID, "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/"+action, id, true, "")
	s.mu.Unlock()
	switch {
	case id == "":
		storageFault(w, http.StatusNotFound, "ResourceNotFound", "There is no storage account "+account+".")
	case !there:
		storageFault(w, http.StatusNotFound, "ContainerNotFound", "The specified container does not exist.")
	case !known:
		storageFault(w, http.StatusMethodNotAllowed, "UnsupportedHttpVerb", "The resource doesn't support the specified HTTP verb.")
	case !allowed:
		storageFault(w, http.StatusForbidden, "AuthorizationPermissionMismatch", "This request is not authorized to perform this operation using this permission.")
	default:
		s.passBlob(account, container, c, w, r)
	}
	return c.Client
}

// passBlob lets the blob service answer. It takes any token that looks like one of
// Azure's own, and has no container that only Resource Manager was asked for.
func (s *Server) passBlob(account, container string, c *claims, w http.ResponseWriter, r *http.Request) {
	now := s.now()
	token, err := s.signer.sign(claims{
		Issuer: "https://sts.windows.net/" + s.setup.Tenant + "/", Audience: storageAudience, Subject: c.Subject, Tenant: c.Tenant, ObjectID: c.ObjectID, Client: c.Client,
		Issued: now.Unix(), NotBefore: now.Add(-time.Hour).Unix(), Expires: now.Add(time.Hour).Unix(),
	})
	target, invalid := url.Parse(s.setup.Blob)
	if err = errors.Join(err, invalid); err != nil {
		storageFault(w, http.StatusInternalServerError, "InternalError", err.Error())
		return
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.pki.pool, ServerName: "localhost", MinVersion: tls.VersionTLS12}}
	defer transport.CloseIdleConnections()
	send := func(out *http.Request) {
		out.URL.Scheme, out.URL.Host, out.Host = target.Scheme, target.Host, account+".blob."+Suffix
		out.Header.Set("Authorization", "Bearer "+token)
	}
	made, err := http.NewRequestWithContext(r.Context(), http.MethodPut, s.setup.Blob+"/"+container+"?restype=container", nil)
	if err == nil {
		send(made)
		made.Header.Set("x-ms-version", "2023-11-03")
		var res *http.Response
		if res, err = transport.RoundTrip(made); err == nil {
			res.Body.Close()
			if res.StatusCode != http.StatusCreated && res.StatusCode != http.StatusConflict {
				err = fmt.Errorf("make the container %s: status %d", container, res.StatusCode)
			}
		}
	}
	if err != nil {
		storageFault(w, http.StatusBadGateway, "InternalError", err.Error())
		return
	}
	proxy := httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) { send(p.Out) }, Transport: transport}
	proxy.ServeHTTP(w, r)
}

// storageFault answers as Azure Storage does.
func storageFault(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/xml")
	w.Header().Set("x-ms-error-code", code)
	w.WriteHeader(status)
	_ = xml.NewEncoder(w).Encode(struct {
		XMLName xml.Name `xml:"Error"`
		Code    string
		Message string
	}{Code: code, Message: message})
}
