package main

import "dagger/sandbox/internal/dagger"

// The parts of a cluster. The version that is compiled is the one in the
// go.mod of the part's folder below pins; a part that says its own version at
// run time is told it here, and a test holds the two together.
var (
	kubernetesPackages = []string{
		"k8s.io/kubernetes/cmd/kube-apiserver",
		"k8s.io/kubernetes/cmd/kube-controller-manager",
		"k8s.io/kubernetes/cmd/kube-scheduler",
		"k8s.io/kubernetes/cmd/kubelet",
		"k8s.io/kubernetes/cmd/kube-proxy",
	}
	kubernetesDefines = []string{
		"k8s.io/component-base/version.gitVersion=v1.34.4",
		"k8s.io/component-base/version.gitMajor=1",
		"k8s.io/component-base/version.gitMinor=34",
		"k8s.io/component-base/version.gitTreeState=clean",
	}
	argocdDefines     = []string{"github.com/argoproj/argo-cd/v2/common.version=2.14.21"}
	containerdDefines = []string{"github.com/containerd/containerd/v2/version.Version=2.1.5"}
)

func pins(part string) *dagger.Directory {
	return dag.CurrentModule().Source().Directory("pins/" + part)
}

// Kubernetes is the control plane, the kubelet and kube-proxy for linux/amd64,
// compiled from source once.
//
// +cache="168h"
func (*Sandbox) Kubernetes() *dagger.Directory {
	return dag.Toolbox().Binaries(pins("kubernetes"), kubernetesPackages,
		dagger.ToolboxBinariesOpts{Defines: kubernetesDefines})
}

// Argocd is Argo CD's one program, compiled from source once. The name that it
// is started under picks the component.
//
// +cache="168h"
func (*Sandbox) Argocd() *dagger.File {
	return dag.Toolbox().Binaries(pins("argocd"), []string{"github.com/argoproj/argo-cd/v2/cmd"},
		dagger.ToolboxBinariesOpts{Defines: argocdDefines}).File("cmd")
}

// Containerd is the container runtime and its shim, compiled from source once.
//
// +cache="168h"
func (*Sandbox) Containerd() *dagger.Directory {
	return dag.Toolbox().Binaries(pins("containerd"), []string{
		"github.com/containerd/containerd/v2/cmd/containerd",
		"github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2",
		"github.com/containerd/containerd/v2/cmd/ctr",
	}, dagger.ToolboxBinariesOpts{Defines: containerdDefines})
}

// Etcd is the cluster's store, compiled from source once.
//
// +cache="168h"
func (*Sandbox) Etcd() *dagger.File {
	return dag.Toolbox().Binary(pins("etcd"), "go.etcd.io/etcd/server/v3")
}

// Cni is the plugins that connect pods, compiled from source once.
//
// +cache="168h"
func (*Sandbox) Cni() *dagger.Directory {
	return dag.Toolbox().Binaries(pins("cni"), []string{
		"github.com/containernetworking/plugins/plugins/main/ptp",
		"github.com/containernetworking/plugins/plugins/main/loopback",
		"github.com/containernetworking/plugins/plugins/ipam/host-local",
	})
}

// Coredns is the cluster's name service, compiled from source once.
//
// +cache="168h"
func (*Sandbox) Coredns() *dagger.File {
	return dag.Toolbox().Binary(dag.CurrentModule().Source().Directory("coredns"), ".")
}

// Kustomize renders overlays for Argo CD, compiled from source once.
//
// +cache="168h"
func (s *Sandbox) Kustomize() *dagger.File {
	if s.Prebuilt != nil {
		return s.Prebuilt.File(kustomizeFile)
	}
	return dag.Toolbox().Binary(pins("kustomize"), "sigs.k8s.io/kustomize/kustomize/v5")
}

// Helm inflates charts for Argo CD: the very program that releases are rendered
// with.
//
// +cache="168h"
func (*Sandbox) Helm() *dagger.File { return dag.Gitops().Helm() }

// Kyverno is the admission controller, compiled from source once.
//
// +cache="168h"
func (*Sandbox) Kyverno() *dagger.File {
	return dag.Toolbox().Binary(pins("kyverno"), "github.com/kyverno/kyverno/cmd/kyverno",
		dagger.ToolboxBinaryOpts{Define: "github.com/kyverno/kyverno/pkg/version.BuildVersion=v1.19.1"})
}

// KubectlProvider is the Terraform provider gavinbunney/kubectl, compiled from
// source once, as a filesystem mirror for terraform's -plugin-dir.
//
// +cache="168h"
func (s *Sandbox) KubectlProvider() *dagger.Directory {
	if s.Prebuilt != nil {
		return s.Prebuilt.Directory(providersFolder)
	}
	const version = "1.19.0"
	program := dag.Toolbox().Binary(pins("provider"), "github.com/gavinbunney/terraform-provider-kubectl")
	return dag.Directory().WithFile(
		"registry.terraform.io/gavinbunney/kubectl/"+version+"/linux_amd64/terraform-provider-kubectl_v"+version, program,
		dagger.DirectoryWithFileOpts{Permissions: 0o755})
}

// AzurermProvider is the Terraform provider hashicorp/azurerm, compiled from source
// once, as a filesystem mirror for terraform's -plugin-dir. The version says what
// it is: a commit after 5.2.0, not what its publisher has released.
//
// +cache="168h"
func (*Sandbox) AzurermProvider() *dagger.Directory {
	const version = "5.2.0+20260824.fae580791926"
	const module = "github.com/hashicorp/terraform-provider-azurerm"
	program := dag.Toolbox().Binary(pins("azurerm"), module, dagger.ToolboxBinaryOpts{Define: module + "/version.ProviderVersion=" + version})
	return dag.Directory().WithFile(
		"registry.terraform.io/hashicorp/azurerm/"+version+"/linux_amd64/terraform-provider-azurerm_v"+version, program,
		dagger.DirectoryWithFileOpts{Permissions: 0o755})
}
