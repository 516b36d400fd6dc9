package cluster

import (
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slipway/step"
	"slipway/step/azure"
	"slipway/step/reach"
	"slipway/step/steptest"
)

// FuzzKubeconfig: what comes out has one cluster, over verified TLS, and one
// user's own credentials: no program, file or proxy; and it comes out unchanged
// when it goes in again.
func FuzzKubeconfig(f *testing.F) {
	f.Add([]byte(good))
	for _, change := range [][2]string{
		{"kind: Config", "kind: [hush"}, {"current-context: here", "current-context: away"}, {"client-key-data: aHVzaA==", "client-key: /hush"},
		{"certificate-authority-data: Q0E=", "insecure-skip-tls-verify: true"}, {"certificate-authority-data: Q0E=", "proxy-url: http://hush"},
		{"https://localhost:6443", "https://u:hush@localhost:6443"}, {"https://localhost:6443", "https://localhost:6443/a?b#c"}, {"https://localhost:6443", "HTTPS://[::1]"},
		{"name: there", "name: one"}, {"name: cloud", "name: me"}, {"name: away", "name: here"}, {"    client-key-data", "    exec: &e [*e]\n    client-key-data"},
		{"current-context: here", "current-context: \"\""}, {"users:", "users: null\nx:"}, {"client-certificate-data: Q0VSVA==", "token: \"hush\\n\""},
	} {
		f.Add([]byte(strings.Replace(good, change[0], change[1], 1)))
	}
	f.Add([]byte("---\n---\n" + good))
	f.Add([]byte("null"))
	connect := reach.Connections{"localhost:6443": "kubernetes:16443"}
	f.Fuzz(func(t *testing.T, data []byte) {
		file := filepath.Join(t.TempDir(), "kubeconfig")
		read := func(data []byte, connect reach.Connections) ([]byte, error) {
			if err := os.WriteFile(file, data, 0o600); err != nil {
				t.Fatal(err)
			}
			return Kubeconfig(t.Context(), "plan", file, connect, azure.Access{})
		}
		got, err := read(data, connect)
		if err != nil {
			if fault := steptest.Refused(t, err); got != nil || fault.Kind != step.KindInput || strings.Contains(err.Error(), "hush") {
				t.Fatal(err)
			}
			return
		}
		again, err := read(got, nil)
		if err != nil || string(again) != string(got) {
			t.Fatalf("%s became %s, %v", got, again, err)
		}
		var clusters struct {
			Clusters []struct{ Cluster map[string]string }
			Users    []struct{ User map[string]string }
		}
		if err := json.Unmarshal(got, &clusters); err != nil || len(clusters.Clusters) != 1 || len(clusters.Users) != 1 {
			t.Fatalf("%s: %v", got, err)
		}
		server, err := url.Parse(clusters.Clusters[0].Cluster["server"])
		if err != nil || server.Scheme != "https" || server.Hostname() == "" || server.User != nil {
			t.Fatalf("server %v: %v", server, err)
		}
		for key := range clusters.Clusters[0].Cluster {
			if key != "server" && key != "tls-server-name" && key != "certificate-authority-data" {
				t.Fatalf("cluster has %s", key)
			}
		}
		for key := range clusters.Users[0].User {
			if key != "token" && key != "client-certificate-data" && key != "client-key-data" {
				t.Fatalf("user has %s", key)
			}
		}
	})
}
