package main

import (
	"cmp"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/kustomize/kyaml/yaml"

	"slipway/ci/config"
	"slipway/ci/evidence"
	"slipway/gitops/step/overlay"
	"slipway/step"
)

const (
	azurePlatform = "platform/azure"
	azureHello    = "apps/hello/overlays/production-azure"
)

// own is what an adopter puts in the places of the placeholders.
var own = map[string]string{
	"fill-in-organization":           "acme",
	"fill-in-project":                "delivery",
	"fill-in-repository":             "platform",
	"fill-in-registry":               "acmeprod",
	"fill-in-digest":                 "sha256:" + strings.Repeat("1a", 32),
	"fill-in-tenant-id":              "00000000-0000-4000-8000-000000000001",
	"fill-in-vault":                  "acme-secrets",
	"fill-in-certificate":            "gateway",
	"fill-in-domain":                 "acme",
	"fill-in-argocd-client-id":       "00000000-0000-4000-8000-0000000000a1",
	"fill-in-argocd-vault-client-id": "00000000-0000-4000-8000-0000000000a2",
	"fill-in-kyverno-client-id":      "00000000-0000-4000-8000-0000000000a3",
	"fill-in-gateway-client-id":      "00000000-0000-4000-8000-0000000000a4",
	"fill-in-hello-client-id":        "00000000-0000-4000-8000-0000000000a5",
	"fill-in-signing-key":            "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEacme",
}

var placeholder = regexp.MustCompile(`fill-in(-[a-z0-9]+)+`)

// adopted is the GitOps folder with the values filled in: those of values/, and
// the registry in the overlay that releases change. Nothing else is touched.
func adopted(t *testing.T) overlay.Tree {
	t.Helper()
	tree, err := overlay.ReadDir(gitopsFolder)
	require.NoError(t, err)
	used := map[string]bool{}
	for _, file := range []string{
		azurePlatform + "/values/values.yaml", azurePlatform + "/values/signing-key.pub", azureHello + "/kustomization.yaml",
	} {
		require.Contains(t, tree.Files, file)
		tree.Files[file] = placeholder.ReplaceAllFunc(tree.Files[file], func(name []byte) []byte {
			value, known := own[string(name)]
			require.True(t, known, "%s: %s", file, name)
			used[string(name)] = true
			return []byte(value)
		})
	}
	assert.ElementsMatch(t, slices.Collect(maps.Keys(own)), slices.Collect(maps.Keys(used)))
	return tree
}

func built(t *testing.T, tree overlay.Tree, folder string) map[string]*yaml.RNode {
	t.Helper()
	manifests, err := overlay.Renderer{}.Build(tree, folder)
	require.NoError(t, err)
	found := map[string]*yaml.RNode{}
	for _, document := range strings.Split(string(manifests), "\n---\n") {
		object, err := yaml.Parse(document)
		require.NoError(t, err)
		found[object.GetKind()+" "+object.GetName()] = object
	}
	return found
}

// value is what a field of an object says.
func value(t *testing.T, objects map[string]*yaml.RNode, object string, path ...string) string {
	t.Helper()
	require.Contains(t, objects, object)
	node, err := objects[object].Pipe(yaml.Lookup(path...))
	require.NoError(t, err)
	require.NotNil(t, node, "%s %v", object, path)
	return node.YNode().Value
}

func TestWhatIsFilledInAtOnePlaceArrivesEverywhere(t *testing.T) {
	tree := adopted(t)
	for _, folder := range []string{azurePlatform, azureHello} {
		manifests, err := overlay.Renderer{}.Build(tree, folder)
		require.NoError(t, err)
		require.NoError(t, overlay.Filled(folder, manifests))
		assert.NotContains(t, string(manifests), "azure-values", "it is never applied")
		assert.NotContains(t, string(manifests), "localhost", "the sandbox's")
	}
	const (
		remote = "https://dev.azure.com/acme/delivery/_git/platform"
		client = "azure.workload.identity/client-id"
		image  = ".azurecr.io/apps/platform/"
	)
	digest := "@" + own["fill-in-digest"]
	container := []string{"spec", "template", "spec", "containers", "0", "image"}
	platform, hello := built(t, tree, azurePlatform), built(t, tree, azureHello)
	for _, c := range []struct {
		objects map[string]*yaml.RNode
		object  string
		path    []string
		want    string
	}{
		{platform, "Secret gitops-repository", []string{"stringData", "url"}, remote},
		{platform, "AppProject platform", []string{"spec", "sourceRepos", "0"}, remote},
		{platform, "AppProject apps", []string{"spec", "sourceRepos", "0"}, remote},
		{platform, "Application platform", []string{"spec", "source", "repoURL"}, remote},
		{platform, "Application platform", []string{"spec", "source", "path"}, "gitops/platform/azure"},
		{platform, "Application apps", []string{"spec", "source", "repoURL"}, remote},
		{platform, "Application apps", []string{"spec", "source", "directory", "include"}, "*-production-azure.yaml"},
		{platform, "ValidatingAdmissionPolicy images", []string{"spec", "variables", "[name=registry]", "expression"}, "'acmeprod.azurecr.io/apps'"},
		{platform, "ServiceAccount argocd-repo-server", []string{"metadata", "annotations", client}, own["fill-in-argocd-client-id"]},
		{platform, "ServiceAccount kyverno-admission-controller", []string{"metadata", "annotations", client}, own["fill-in-kyverno-client-id"]},
		{platform, "ServiceAccount gateway", []string{"metadata", "annotations", client}, own["fill-in-gateway-client-id"]},
		{platform, "SecretProviderClass argocd", []string{"spec", "parameters", "clientID"}, own["fill-in-argocd-vault-client-id"]},
		{platform, "SecretProviderClass argocd", []string{"spec", "parameters", "keyvaultName"}, "acme-secrets"},
		{platform, "SecretProviderClass argocd", []string{"spec", "parameters", "tenantId"}, own["fill-in-tenant-id"]},
		{platform, "Deployment argocd-repo-server", container, "acmeprod" + image + "argocd" + digest},
		{platform, "Deployment argocd-server", container, "acmeprod" + image + "argocd" + digest},
		{platform, "Deployment argocd-applicationset-controller", container, "acmeprod" + image + "argocd" + digest},
		{platform, "StatefulSet argocd-application-controller", container, "acmeprod" + image + "argocd" + digest},
		{platform, "Deployment argocd-redis", container, "acmeprod" + image + "redis" + digest},
		{platform, "Deployment kyverno-admission-controller", container, "acmeprod" + image + "kyverno" + digest},
		{platform, "Gateway gateway", []string{"spec", "listeners", "0", "hostname"}, "*.acme.example"},
		{hello, "SecretProviderClass hello", []string{"spec", "parameters", "clientID"}, own["fill-in-hello-client-id"]},
		{hello, "SecretProviderClass hello", []string{"spec", "parameters", "keyvaultName"}, "acme-secrets"},
		{hello, "SecretProviderClass hello", []string{"spec", "parameters", "tenantId"}, own["fill-in-tenant-id"]},
		{hello, "HTTPRoute hello", []string{"spec", "hostnames", "0"}, "hello.acme.example"},
		{hello, "Deployment hello", container, "acmeprod.azurecr.io/apps/hello@" + overlay.Unreleased},
	} {
		assert.Equal(t, c.want, value(t, c.objects, c.object, c.path...), "%s %v", c.object, c.path)
	}
	key := value(t, platform, "ConfigMap slipway-signing-key", "data", "cosign.pub")
	assert.Equal(t, "-----BEGIN PUBLIC KEY-----\n"+own["fill-in-signing-key"]+"\n-----END PUBLIC KEY-----\n", key)
	for _, env := range []string{"dev", "production-azure"} {
		assert.Equal(t, key, value(t, platform, "ImageValidatingPolicy released", "spec", "attestors", "[name="+env+"]", "cosign", "key", "data"))
	}
}

// An environment that admission does not know could run nothing.
func TestAdmissionKnowsEveryEnvironment(t *testing.T) {
	tree, err := overlay.ReadDir(gitopsFolder)
	require.NoError(t, err)
	policy := built(t, tree, "platform/policies")["ImageValidatingPolicy released"]
	require.NotNil(t, policy)
	data, err := os.ReadFile("../../slipway.yaml")
	require.NoError(t, err)
	c, err := config.Parse(data)
	require.NoError(t, err)
	names := c.EnvironmentNames()
	overlays, err := filepath.Glob(filepath.Join(gitopsFolder, "apps/*/overlays/*"))
	require.NoError(t, err)
	require.NotEmpty(t, overlays)
	for _, folder := range overlays {
		names = append(names, filepath.Base(folder))
	}
	objects := map[string]*yaml.RNode{"policy": policy}
	for _, env := range names {
		want := evidence.Admission{App: "any", Environment: env}.Type()
		assert.Equal(t, want, value(t, objects, "policy", "spec", "attestations", "[name="+env+"]", "intoto", "type"))
		assert.Contains(t, value(t, objects, "policy", "spec", "attestors", "[name="+env+"]", "cosign", "key", "data"), "-----BEGIN PUBLIC KEY-----")
	}
}

// What is shipped belongs to nobody yet: neither the pipeline nor whoever installs
// the platform takes it for somebody's.
func TestPlaceholdersAreNotReleased(t *testing.T) {
	tree, err := overlay.ReadDir(gitopsFolder)
	require.NoError(t, err)
	manifests, err := overlay.Renderer{}.Build(tree, azureHello)
	require.NoError(t, err)
	fault, ok := step.AsFault(overlay.Filled(azureHello, manifests))
	require.True(t, ok)
	assert.Equal(t, "is not filled in: fill-in-domain, fill-in-hello-client-id, fill-in-registry, fill-in-tenant-id, fill-in-vault", fault.Reason)
	assert.Contains(t, fault.Details, "SecretProviderClass hello spec.parameters.keyvaultName: fill-in-vault")

	_, err = run(t.Context(), []string{"filled", "--gitops", gitopsFolder})
	fault, ok = step.AsFault(err)
	require.True(t, ok, "%v", err)
	assert.Equal(t, step.KindInput, fault.Kind)
	assert.Equal(t, azurePlatform, fault.Input)
	assert.Contains(t, fault.Details, "ImageValidatingPolicy released spec.attestors.0.cosign.key.data: fill-in-signing-key")

	said, err := run(t.Context(), []string{"filled", "--gitops", gitopsFolder, "--folder", "platform/sandbox"})
	require.NoError(t, err)
	assert.Contains(t, said, "path: gitops/platform/sandbox\n")
	assert.Equal(t, 1, strings.Count(said, "name: argocd-repo-server\n  namespace: argocd\nspec:\n  replicas:"), said)
}

// Three things say which namespaces are not the apps': if they disagree, a pod is
// judged by one and never asked about by the other.
func TestTheJudgesAgreeOnWhoIsExempt(t *testing.T) {
	tree, err := overlay.ReadDir(gitopsFolder)
	require.NoError(t, err)
	for folder, want := range map[string][]string{
		"platform/sandbox": {"kube-system", "kyverno", "argocd", "slipway-system"},
		azurePlatform: {
			"kube-system", "kyverno", "argocd", "slipway-system",
			"calico-system", "tigera-operator", "gatekeeper-system", "app-routing-system", "aks-istio-system", "gateway",
		},
	} {
		objects := built(t, tree, folder)
		for _, policy := range []string{"ValidatingAdmissionPolicy images", "ImageValidatingPolicy released"} {
			at := []string{"spec", "matchConstraints", "namespaceSelector", "matchExpressions", "0"}
			assert.Equal(t, "NotIn", value(t, objects, policy, append(at, "operator")...))
			node, err := objects[policy].Pipe(yaml.Lookup(append(at, "values")...))
			require.NoError(t, err)
			var names []string
			require.NoError(t, node.YNode().Decode(&names))
			assert.Equal(t, want, names, "%s %s", folder, policy)
		}
		var webhooks struct {
			NamespaceSelector struct {
				MatchExpressions []struct {
					Key, Operator string
					Values        []string
				}
			}
		}
		require.NoError(t, json.Unmarshal([]byte(value(t, objects, "ConfigMap kyverno", "data", "webhooks")), &webhooks))
		require.Len(t, webhooks.NamespaceSelector.MatchExpressions, 1)
		assert.Equal(t, want, webhooks.NamespaceSelector.MatchExpressions[0].Values, folder)
	}
}

// The pods that Entra knows have the label by which they get its tokens, and an
// identity; no others have.
func TestOnlyPodsThatNeedATokenGetOne(t *testing.T) {
	tree := adopted(t)
	var with []string
	for _, folder := range []string{azurePlatform, azureHello} {
		objects := built(t, tree, folder)
		for name, object := range objects {
			label, err := object.Pipe(yaml.Lookup("spec", "template", "metadata", "labels", "azure.workload.identity/use"))
			require.NoError(t, err)
			if label == nil {
				continue
			}
			with = append(with, name)
			account := "ServiceAccount " + value(t, objects, name, "spec", "template", "spec", "serviceAccountName")
			assert.NotEmpty(t, value(t, objects, account, "metadata", "annotations", "azure.workload.identity/client-id"), name)
		}
	}
	assert.ElementsMatch(t, []string{"Deployment argocd-repo-server", "Deployment kyverno-admission-controller"}, with)
}

// A pod that mounts secrets names a SecretProviderClass that there is, which asks the
// vault for objects in the driver's words and makes Secrets of no others.
func TestSecretsAreThoseThatTheVaultIsAskedFor(t *testing.T) {
	tree := adopted(t)
	mounted := map[string]string{}
	for _, folder := range []string{azurePlatform, azureHello} {
		objects := built(t, tree, folder)
		for name, object := range objects {
			volumes, err := object.Pipe(yaml.Lookup("spec", "template", "spec", "volumes"))
			require.NoError(t, err)
			if volumes == nil {
				continue
			}
			var all []struct {
				CSI *struct {
					Driver           string
					ReadOnly         bool              `yaml:"readOnly"`
					VolumeAttributes map[string]string `yaml:"volumeAttributes"`
				}
			}
			require.NoError(t, volumes.YNode().Decode(&all))
			for _, volume := range all {
				if volume.CSI != nil {
					assert.Equal(t, "secrets-store.csi.k8s.io", volume.CSI.Driver)
					assert.True(t, volume.CSI.ReadOnly)
					mounted[volume.CSI.VolumeAttributes["secretProviderClass"]] = name
					assert.NotEmpty(t, value(t, objects, name, "spec", "template", "spec", "serviceAccountName"), "whom the vault knows")
				}
			}
		}
		for name, object := range objects {
			if object.GetKind() != "SecretProviderClass" {
				continue
			}
			assert.Contains(t, mounted, object.GetName())
			files := vaultFiles(t, value(t, objects, name, "spec", "parameters", "objects"))
			var class struct {
				Spec struct {
					Provider      string
					SecretObjects []struct {
						SecretName string `yaml:"secretName"`
						Data       []struct {
							ObjectName string `yaml:"objectName"`
						}
					} `yaml:"secretObjects"`
				}
			}
			require.NoError(t, yaml.Unmarshal([]byte(object.MustString()), &class))
			assert.Equal(t, "azure", class.Spec.Provider)
			for _, secret := range class.Spec.SecretObjects {
				for _, data := range secret.Data {
					assert.Contains(t, files, data.ObjectName, secret.SecretName)
				}
			}
		}
	}
	assert.Equal(t, map[string]string{"argocd": "Deployment argocd-redis", "hello": "Deployment hello"}, mounted)
}

// vaultFiles are the names of the files that the driver writes: objects is a list,
// in YAML, of texts that are YAML themselves.
func vaultFiles(t *testing.T, objects string) []string {
	t.Helper()
	var list struct{ Array []string }
	require.NoError(t, yaml.Unmarshal([]byte(objects), &list))
	require.NotEmpty(t, list.Array)
	var files []string
	for _, text := range list.Array {
		var object struct {
			Name  string `yaml:"objectName"`
			Type  string `yaml:"objectType"`
			Alias string `yaml:"objectAlias"`
		}
		require.NoError(t, yaml.Unmarshal([]byte(text), &object))
		assert.NotEmpty(t, object.Name)
		assert.Contains(t, []string{"secret", "key", "cert"}, object.Type)
		files = append(files, cmp.Or(object.Alias, object.Name))
	}
	return files
}

// What pods need and nothing in Git makes has to come from the vault.
func TestEverySecretThatArgoCDMountsComesFromTheVault(t *testing.T) {
	objects := built(t, adopted(t), azurePlatform)
	class := objects["SecretProviderClass argocd"].MustString()
	asked := regexp.MustCompile(`secret(?:KeyRef:\n +key: auth\n +name|Name): (\S+)`)
	seen := map[string]bool{}
	for name, object := range objects {
		if !strings.HasPrefix(name, "Deployment argocd") && !strings.HasPrefix(name, "StatefulSet argocd") {
			continue
		}
		for _, match := range asked.FindAllStringSubmatch(object.MustString(), -1) {
			seen[match[1]] = true
			assert.Contains(t, class, "secretName: "+match[1]+"\n", name)
		}
	}
	assert.Equal(t, map[string]bool{"argocd-redis": true, "argocd-repo-server-tls": true}, seen)
}

// Argo CD refuses what an app's project does not allow: what an overlay holds has to
// be in what infra/local allows its environment.
func TestProjectsAllowWhatOverlaysHold(t *testing.T) {
	targets := shipped(t)
	environments, err := filepath.Glob(infraLocal + "/environments/*.tfvars.json")
	require.NoError(t, err)
	require.NotEmpty(t, environments)
	judged := 0
	for _, file := range environments {
		env := strings.TrimSuffix(filepath.Base(file), ".tfvars.json")
		given, err := infraObjects(infraLocal, env)
		require.NoError(t, err)
		for _, document := range strings.Split(string(given), "---\n")[1:] {
			var project struct {
				Kind     string
				Metadata struct{ Name string }
				Spec     struct {
					Kinds []struct{ Group, Kind string } `yaml:"namespaceResourceWhitelist"`
				}
			}
			require.NoError(t, yaml.Unmarshal([]byte(document), &project))
			app, of := strings.CutSuffix(project.Metadata.Name, "-"+env)
			if project.Kind != "AppProject" || !of {
				continue
			}
			allowed := map[string]bool{}
			for _, kind := range project.Spec.Kinds {
				allowed[kind.Group+"/"+kind.Kind] = true
			}
			for _, object := range objects(t, targets, "apps/"+app+"/overlays/"+env) {
				group, _, grouped := strings.Cut(object.GetApiVersion(), "/")
				if !grouped {
					group = ""
				}
				assert.True(t, allowed[group+"/"+object.GetKind()], "%s of %s in %s", object.GetKind(), app, env)
				assert.Equal(t, project.Metadata.Name, object.GetNamespace())
				judged++
			}
		}
	}
	assert.Greater(t, judged, 30)
}
