//go:build e2e && cluster

package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// object is any Kubernetes object.
type object map[string]any

func (o object) at(path ...string) string {
	var value any = map[string]any(o)
	for _, key := range path {
		fields, _ := value.(map[string]any)
		value = fields[key]
	}
	text, _ := value.(string)
	return text
}

func (o object) String() string {
	return o.at("kind") + " " + o.at("metadata", "namespace") + "/" + o.at("metadata", "name")
}

func documents(t *testing.T, text []byte) []object {
	t.Helper()
	var all []object
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	for {
		var one map[string]any // what is in it becomes of the same type
		err := decoder.Decode(&one)
		if errors.Is(err, io.EOF) {
			return all
		}
		require.NoError(t, err)
		if one != nil {
			all = append(all, one)
		}
	}
}

// azureKinds are the definitions of the kinds that a cluster in Azure has beside
// ours, from the modules that its add-ons are made of.
func azureKinds(t *testing.T) []object {
	t.Helper()
	const operator = "github.com/prometheus-operator/prometheus-operator"
	var all []object
	for module, files := range map[string][]string{
		"sigs.k8s.io/gateway-api": {
			"config/crd/standard/gateway.networking.k8s.io_gateways.yaml", "config/crd/standard/gateway.networking.k8s.io_httproutes.yaml",
		},
		"sigs.k8s.io/secrets-store-csi-driver": {"config/crd/bases/secrets-store.csi.x-k8s.io_secretproviderclasses.yaml"},
		operator:                               {"example/prometheus-operator-crd/monitoring.coreos.com_podmonitors.yaml"},
	} {
		cmd := exec.Command("go", "mod", "download", "-json", module)
		cmd.Dir = filepath.Join(repository(), "tools/manifests/pins/azure")
		out, err := cmd.Output()
		require.NoError(t, err, string(out))
		var found struct{ Dir string }
		require.NoError(t, json.Unmarshal(out, &found))
		for _, file := range files {
			text, err := os.ReadFile(filepath.Join(found.Dir, file))
			require.NoError(t, err)
			if module == operator { // Azure builds it with another name for its group
				text = bytes.ReplaceAll(text, []byte("monitoring.coreos.com"), []byte("azmonitoring.coreos.com"))
			}
			all = append(all, documents(t, text)...)
		}
	}
	return all
}

// filledIn are the objects of a folder of the GitOps tree, with values in the places
// of the placeholders.
func filledIn(t *testing.T, p *platform, folder string) []object {
	t.Helper()
	tree := filepath.Join(t.TempDir(), "gitops")
	require.NoError(t, os.CopyFS(tree, os.DirFS(filepath.Join(p.repo, "gitops"))))
	values := filepath.Join(tree, "platform/azure/values")
	require.NoError(t, os.WriteFile(filepath.Join(values, "signing-key.pub"), []byte(read(t, p.file("keys/cosign.pub"))), 0o644))
	placeholder := regexp.MustCompile(`fill-in(-[a-z0-9]+)+`)
	for _, file := range []string{filepath.Join(values, "values.yaml"), filepath.Join(tree, "apps/hello/overlays/production-azure/kustomization.yaml")} {
		text := placeholder.ReplaceAllStringFunc(read(t, file), func(name string) string {
			switch {
			case name == "fill-in-digest":
				return "sha256:" + strings.Repeat("1", 64)
			case strings.HasSuffix(name, "-id"):
				return "00000000-0000-4000-8000-000000000001"
			}
			return "acme"
		})
		require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
	}
	cmd := exec.Command("go", "-C", filepath.Join(p.repo, "tools/manifests"), "run", ".", "filled", "--gitops", tree, "--folder", folder)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	require.NoError(t, err, said.String())
	return documents(t, out)
}

// resource is where the objects of a kind are.
func (k *kubernetes) resource(t *testing.T, o object) string {
	t.Helper()
	version := o.at("apiVersion")
	base := "/apis/" + version
	if !strings.Contains(version, "/") {
		base = "/api/" + version
	}
	var list struct {
		Resources []struct {
			Name, Kind string
			Namespaced bool
		}
	}
	require.Equal(t, http.StatusOK, k.api(t, http.MethodGet, base, "", nil, &list), version)
	for _, r := range list.Resources {
		if r.Kind != o.at("kind") || strings.Contains(r.Name, "/") {
			continue
		}
		if r.Namespaced {
			return base + "/namespaces/" + o.at("metadata", "namespace") + "/" + r.Name
		}
		return base + "/" + r.Name
	}
	require.Fail(t, "the cluster has no such kind", o.String())
	return ""
}

// admits asks the API server whether it would store an object, and stores nothing.
func (k *kubernetes) admits(t *testing.T, o object) (bool, string) {
	t.Helper()
	path := k.resource(t, o) + "/" + o.at("metadata", "name") + "?dryRun=All&force=true&fieldValidation=Strict&fieldManager=e2e-azure"
	var answer struct{ Kind, Message string }
	status := k.api(t, http.MethodPatch, path, "application/apply-patch+yaml", o, &answer)
	return status == http.StatusOK || status == http.StatusCreated, answer.Message
}

// What is for a cluster in Azure is admitted by this one, once it has the kinds: by
// the API server, by the kinds' own rules and by Kyverno. No add-on runs here, so
// this says nothing about what becomes of it.
func TestClusterAdmitsThePlatformOfAzure(t *testing.T) {
	k := cluster(t)
	for _, definition := range azureKinds(t) {
		name := definition.at("metadata", "name")
		const path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
		require.Equal(t, http.StatusCreated, k.api(t, http.MethodPost, path, "application/json", definition, nil), name)
		t.Cleanup(func() { k.api(t, http.MethodDelete, path+"/"+name, "", nil, nil) })
		eventually(t, name, func() bool {
			var found struct {
				Status struct {
					Conditions []struct{ Type, Status string }
				}
			}
			k.api(t, http.MethodGet, path+"/"+name, "", nil, &found)
			for _, condition := range found.Status.Conditions {
				if condition.Type == "Established" && condition.Status == "True" {
					// Established is said a moment before it is served.
					group, _ := definition["spec"].(map[string]any)["group"].(string)
					return k.api(t, http.MethodGet, "/apis/"+group, "", nil, nil) == http.StatusOK
				}
			}
			return false
		})
	}
	kinds := k.admitted(t, append(filledIn(t, k.p, "platform/azure"), filledIn(t, k.p, "apps/hello/overlays/production-azure")...))
	for _, kind := range []string{"Gateway", "HTTPRoute", "PodMonitor", "SecretProviderClass", "ImageValidatingPolicy", "ValidatingAdmissionPolicy", "NetworkPolicy"} {
		require.Contains(t, kinds, kind)
	}

	k.refuses(t, kinds, map[string]spoilt{
		"a field that a SecretProviderClass lacks": {"SecretProviderClass", `"provider":`, `"provder":`, "provder"},
		"a port that is none":                      {"Gateway", `"port":443`, `"port":0`, "spec.listeners[0].port"},
		"a route without a backend's port":         {"HTTPRoute", `,"port":80`, ``, "port"},
		"an interval that is none":                 {"PodMonitor", `"interval":"30s"`, `"interval":"often"`, "interval"},
		"a variable that the policy lacks":         {"ValidatingAdmissionPolicy", `variables.registry`, `variables.registri`, "registri"},
		"a peer that is two":                       {"NetworkPolicy", `"podSelector":`, `"podSelectors":`, "podSelectors"},
	})
}

// The API server finds nothing in what is shipped that it does not know. The unit
// tests hold the same objects to its OpenAPI document.
func TestClusterAdmitsWhatIsShipped(t *testing.T) {
	k := cluster(t)
	objects := filledIn(t, k.p, "platform/sandbox")
	for _, o := range filledIn(t, k.p, "apps/hello/overlays/dev") {
		// hello-dev is infra's to make.
		o["metadata"].(map[string]any)["namespace"] = "hello-asked"
		objects = append(objects, o)
	}
	applications, err := filepath.Glob(filepath.Join(k.p.repo, "gitops/argocd/*.yaml"))
	require.NoError(t, err)
	require.NotEmpty(t, applications)
	for _, file := range applications {
		objects = append(objects, documents(t, []byte(read(t, file)))...)
	}
	kinds := k.admitted(t, objects)
	k.refuses(t, kinds, map[string]spoilt{
		"a field that a Deployment lacks":         {"Deployment", `"replicas":`, `"replica":`, "replica"},
		"a value of another type":                 {"Deployment", `"replicas":`, `"minReadySeconds":"soon","replicas":`, "minReadySeconds"},
		"a quantity that is none":                 {"Deployment", `"memory":"128Mi"`, `"memory":"128MB"`, "quantit"},
		"a port without a number":                 {"Deployment", `"containerPort":8080,`, ``, "containerPort"},
		"a word that no policy of networks takes": {"NetworkPolicy", `"policyTypes":["`, `"policyTypes":["Any","`, "policyTypes"},
		"a field that Kyverno's policy lacks":     {"ImageValidatingPolicy", `"required":true`, `"require":true`, "require"},
		"a typo in an Application":                {"Application", `"project":`, `"projct":`, "projct"},
		"a typo in an AppProject":                 {"AppProject", `"sourceRepos":`, `"sourceRepo":`, "sourceRepo"},
	})
}

// admitted asks about each of the objects, in namespaces that are there, and returns
// one of each kind.
func (k *kubernetes) admitted(t *testing.T, objects []object) map[string]object {
	t.Helper()
	kinds := map[string]object{}
	for _, o := range objects {
		if namespace := o.at("metadata", "namespace"); namespace != "" {
			made := map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": namespace}}
			switch status := k.api(t, http.MethodPost, "/api/v1/namespaces", "application/json", made, nil); status {
			case http.StatusConflict: // it is there
			case http.StatusCreated:
				t.Cleanup(func() { k.api(t, http.MethodDelete, "/api/v1/namespaces/"+namespace, "", nil, nil) })
			default:
				require.Fail(t, namespace, "status %d", status)
			}
		}
		t.Run(o.String(), func(t *testing.T) {
			admitted, message := k.admits(t, o)
			assert.True(t, admitted, message)
		})
		kinds[o.at("kind")] = o
	}
	return kinds
}

// spoilt is an object of a kind with one thing wrong, and what is said about it.
type spoilt struct{ kind, old, new, want string }

// refuses asks about objects that were admitted, each spoilt.
func (k *kubernetes) refuses(t *testing.T, kinds map[string]object, controls map[string]spoilt) {
	t.Helper()
	for name, c := range controls {
		t.Run(name, func(t *testing.T) {
			text, err := json.Marshal(kinds[c.kind])
			require.NoError(t, err)
			require.Contains(t, string(text), c.old)
			var wrong object
			require.NoError(t, json.Unmarshal([]byte(strings.Replace(string(text), c.old, c.new, 1)), &wrong))
			admitted, message := k.admits(t, wrong)
			assert.False(t, admitted, fmt.Sprintf("%s was taken", wrong))
			assert.Contains(t, message, c.want)
		})
	}
}
