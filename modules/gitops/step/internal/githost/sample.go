package githost

import "maps"

// Unset is the digest of the sample overlays: all zeros.
const Unset = "sha256:0000000000000000000000000000000000000000000000000000000000000000"

// Kustomization is a sample overlay with comments to keep.
const Kustomization = `# hello, kept by people
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources:
  - ../../base   # shared
images:
  # set by releases
  - name: localhost:5000/hello  # the app
    digest: ` + Unset + ` # current
`

// Deployment is a sample base.
const Deployment = `apiVersion: apps/v1
kind: Deployment
metadata:
  name: hello
spec:
  template:
    spec:
      initContainers:
        - name: migrate
          image: localhost:5000/hello
      containers:
        - name: hello
          image: localhost:5000/hello
        - name: proxy
          image: localhost:5000/proxy@sha256:1111111111111111111111111111111111111111111111111111111111111111
`

// Sample is a GitOps folder with one app in two environments, below prefix
// (such as "gitops/"), with changes laid over it.
func Sample(prefix string, changes map[string]string) map[string]string {
	files := map[string]string{
		"apps/hello/base/kustomization.yaml":                "resources: [deployment.yaml]\n",
		"apps/hello/base/deployment.yaml":                   Deployment,
		"apps/hello/overlays/dev/kustomization.yaml":        Kustomization,
		"apps/hello/overlays/production/kustomization.yaml": Kustomization,
	}
	maps.Copy(files, changes)
	out := map[string]string{}
	for name, content := range files {
		out[prefix+name] = content
	}
	return out
}
