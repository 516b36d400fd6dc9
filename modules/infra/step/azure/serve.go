package azure

import (
	"encoding/json"
	"net"
	"net/http"
	"strconv"
	"time"

	"slipway/step/azure"
)

// metadataPath is where managed identities ask for tokens.
const metadataPath = "/metadata/identity/oauth2/token"

// serve gives tokens on a loopback port as the metadata service of Azure's machines
// does, until it is stopped: so the provider and the backend use those of somebody who
// is signed in.
//
// https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token
func serve(credential *azure.Credential) (address string, stop func(), err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	server := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		resource := r.URL.Query().Get("resource")
		if r.Method != http.MethodGet || r.URL.Path != metadataPath || r.Header.Get("Metadata") != "true" || resource == "" {
			http.Error(w, `{"error":"invalid_request"}`, http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		token, err := credential.Token(r.Context(), resource)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			_ = json.NewEncoder(w).Encode(map[string]string{"error": "invalid_resource", "error_description": err.Error()})
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]string{
			"access_token": token.Value, "token_type": "Bearer", "resource": resource,
			"expires_in": strconv.Itoa(int(token.Expires.Sub(credential.Now()).Seconds())), "expires_on": strconv.FormatInt(token.Expires.Unix(), 10),
		})
	})}
	// Serve returns when the server is closed.
	go func() { _ = server.Serve(listener) }()
	return "http://" + listener.Addr().String() + metadataPath, func() { _ = server.Close() }, nil
}
