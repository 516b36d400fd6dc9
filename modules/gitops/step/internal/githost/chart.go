package githost

import "maps"

// Charted is the sample overlay of an app that is packaged by Helm.
const Charted = `# hi, kept by people
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namespace: hi-dev
helmGlobals:
  chartHome: ../..
helmCharts:
  - name: chart
    releaseName: hi-dev
    valuesMerge: replace
    valuesInline:
      replicas: 2
images:
  - name: localhost:5000/hi
    digest: ` + Unset + ` # current
`

// Template is the sample chart's only one.
const Template = `apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .Chart.Name }}
  namespace: {{ .Release.Namespace }}
  labels: {tier: {{ .Values.tier }}}
spec:
  replicas: {{ .Values.replicas }}
  template:
    spec:
      containers:
        - name: {{ .Chart.Name }}
          image: localhost:5000/hi
`

// SampleChart is Sample with an app hi, packaged by Helm, in one environment.
func SampleChart(prefix string, changes map[string]string) map[string]string {
	files := map[string]string{
		"apps/hi/chart/Chart.yaml":                "apiVersion: v2\nname: hi\nversion: 1.0.0\n",
		"apps/hi/chart/values.yaml":               "replicas: 1\ntier: front\n",
		"apps/hi/chart/templates/deployment.yaml": Template,
		"apps/hi/overlays/dev/kustomization.yaml": Charted,
	}
	maps.Copy(files, changes)
	return Sample(prefix, files)
}
