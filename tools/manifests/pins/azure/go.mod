// What the kinds of a cluster in Azure look like: its add-ons are made of these
// modules. Nothing imports them, so that `go mod tidy` would take them out;
// `go mod download` writes go.sum.
module slipway/tools/manifests/pins/azure

go 1.26.4

require (
	github.com/prometheus-operator/prometheus-operator v0.85.0
	sigs.k8s.io/gateway-api v1.4.1
	sigs.k8s.io/secrets-store-csi-driver v1.4.8
)
