package overlay

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/gitops/step/internal/githost"
	"slipway/step"
	"slipway/step/result/gitops"
)

func TestEveryImageIsFound(t *testing.T) {
	found, err := Images("x", []byte(`
kind: Deployment
metadata: {name: hello, annotations: {image: no}}
spec:
  template:
    metadata: {labels: {image: label}}
    spec:
      initContainers: [{name: first, image: a}]
      containers: [{name: main, image: b}, {name: sidecar, image: "c:latest", 1: x}, {image: d}]
      ephemeralContainers: [{name: debug, image: e}]
      volumes: [{name: site, image: {reference: f, pullPolicy: Always}}, {name: tmp, emptyDir: {}}]
---
kind: CronJob
metadata: {name: nightly}
spec: {jobTemplate: {spec: {template: {spec: {containers: [{name: job, image: g}]}}}}}
---
kind: Prometheus
metadata: {name: p}
spec: {image: h, baseImage: i, thanos: {image: j}}
---
kind: ConfigMap
metadata: {name: c}
data: {image: no}
---
kind: Odd
1: x
metadata: {name: o}
data: {image: l}
---
kind: CustomResourceDefinition
metadata: {name: crd}
spec: {versions: [{schema: {openAPIV3Schema: {properties: {image: {type: string}}}}}]}
---
`), nil)
	require.NoError(t, err)
	const deployment, pods = "Deployment hello", "spec.template.spec."
	assert.Equal(t, []gitops.Used{
		{Object: deployment, Place: pods + "containers[main].image", Image: "b"},
		{Object: deployment, Place: pods + "containers[sidecar].image", Image: "c:latest"},
		{Object: deployment, Place: pods + "containers[2].image", Image: "d"},
		{Object: deployment, Place: pods + "ephemeralContainers[debug].image", Image: "e"},
		{Object: deployment, Place: pods + "initContainers[first].image", Image: "a"},
		{Object: deployment, Place: pods + "volumes[site].image.reference", Image: "f"},
		{Object: "CronJob nightly", Place: "spec.jobTemplate.spec.template.spec.containers[job].image", Image: "g"},
		{Object: "Prometheus p", Place: "spec.image", Image: "h"},
		{Object: "Prometheus p", Place: "spec.thanos.image", Image: "j"},
		{Object: "Odd o", Place: "data.image", Image: "l"},
	}, found)

	found, err = Images("x", []byte("kind: Prometheus\nmetadata: {name: p}\nspec: {baseImage: i, more: [{baseImage: k}]}\n"), []string{"baseImage"})
	require.NoError(t, err)
	assert.Equal(t, []gitops.Used{
		{Object: "Prometheus p", Place: "spec.baseImage", Image: "i"}, {Object: "Prometheus p", Place: "spec.more[0].baseImage", Image: "k"},
	}, found)

	found, err = Images("x", []byte("kind: Odd\nmetadata: {name: o}\nspec: {9: {image: i}, 8: {image: h}, 7: {image: g}, 6: {image: f}, 5: {image: e}, 4: {image: d}, 3: {image: c}, 2: {image: b}, a: {image: j}, true: {image: k}}\n"), nil)
	require.NoError(t, err)
	var images string
	for _, used := range found {
		images += used.Image
	}
	assert.Equal(t, "bcdefghijk", images, "in the order of their names")

	found, err = Images("x", nil, nil)
	require.NoError(t, err)
	assert.Equal(t, []gitops.Used{}, found, "[] in JSON, not null")
	_, err = Images("x", []byte("a: ["), nil)
	assert.Equal(t, step.KindInput, faultOf(t, err).Kind)
}

// What Kustomize is told to take for an image counts as one.
func TestImageFieldsAreThoseOfTheOverlay(t *testing.T) {
	const dev = "apps/hello/overlays/dev/"
	fields, err := ImageFields(sample(map[string]string{
		"apps/hello/base/kustomization.yaml": "resources: [deployment.yaml]\nconfigurations: [fields.yaml]\n",
		"apps/hello/base/fields.yaml":        "images: [{kind: X, path: spec/runner}, {path: 'spec/all[]'}]\nnamePrefix: [{path: spec/other}]\n",
		dev + "kustomization.yaml": githost.Kustomization + "transformers:\n- more.yaml\n- |-\n  kind: ImageTagTransformer\n  metadata: {name: y}\n" +
			"  imageTag: {name: a}\n  fieldSpecs: [{path: spec/inline, kind: X}]\n",
		dev + "more.yaml": "kind: LabelTransformer\nmetadata: {name: l}\n---\nkind: ImageTagTransformer\nmetadata: {name: x}\nfieldSpecs: [{path: spec/second/field}]\n",
	}), "hello", "dev")
	require.NoError(t, err)
	assert.Equal(t, []string{"all", "field", "inline", "runner"}, fields)
	fields, err = ImageFields(sample(nil), "hello", "dev")
	require.NoError(t, err)
	assert.Empty(t, fields)
}
