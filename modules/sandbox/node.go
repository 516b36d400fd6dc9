package main

import (
	"dagger/sandbox/internal/dagger"
)

// Where the node's program finds what it brings along.
const (
	imageFolder     = "/opt/slipway/images"
	bootstrapFolder = "/opt/slipway/bootstrap"
)

// NodeImage is the container of a cluster's node, with everything that the cluster runs
// before it can reach a registry.
//
// +cache="168h"
func (s *Sandbox) NodeImage() (*dagger.Container, error) {
	const path = "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	if s.Prebuilt != nil {
		return dag.Container().WithRootfs(s.Prebuilt.Directory(rootfsFolder)).WithEnvVariable("PATH", path), nil
	}
	programs := s.programs()
	node := dag.Container().
		WithDirectory("/", debian("node")).
		WithNewFile("/etc/passwd", "root:x:0:0:root:/root:/bin/false\n").
		WithNewFile("/etc/group", "root:x:0:\n").
		WithDirectory("/usr/local/bin", s.Kubernetes()).
		WithDirectory("/usr/local/bin", s.Containerd()).
		WithFile("/usr/local/bin/etcd", s.Etcd()).
		WithFile("/usr/local/bin/slipway-node", programs.File("node")).
		WithDirectory("/opt/cni/bin", s.Cni()).
		WithDirectory(bootstrapFolder, definitions()).
		WithEnvVariable("PATH", path)
	for name, image := range s.images(programs) {
		node = node.WithFile(imageFolder+"/"+name+".tar", image.AsTarball(dagger.ContainerAsTarballOpts{ForcedCompression: dagger.ImageLayerCompressionUncompressed}))
	}
	return node, nil
}

// images are the containers of the cluster's own pods, by name and version.
func (s *Sandbox) images(programs *dagger.Directory) map[string]*dagger.Container {
	pod := dag.Toolbox().Scratch().
		WithoutMount("/tmp").
		WithFile("/slipway-pod", programs.File("slipway-pod")).
		WithUser("65532:65532").
		WithEntrypoint([]string{"/slipway-pod"})
	argocd := dag.Toolbox().Scratch().
		WithoutMount("/tmp").
		WithDirectory("/", debian("git")).
		WithNewFile("/etc/passwd", "root:x:0:0:root:/root:/bin/false\nargocd:x:999:999::/home/argocd:/bin/false\n").
		WithNewFile("/etc/group", "root:x:0:\nargocd:x:999:\n").
		WithDirectory("/home/argocd", dag.Directory()).
		WithFile("/usr/local/bin/argocd", s.Argocd()).
		WithFile("/usr/local/bin/kustomize", s.Kustomize()).
		WithFile("/usr/local/bin/helm", s.Helm()).
		WithEnvVariable("PATH", "/usr/local/bin:/usr/bin:/bin").
		WithUser("999:999").
		WithWorkdir("/home/argocd")
	for _, name := range []string{"server", "repo-server", "application-controller", "applicationset-controller"} {
		argocd = argocd.WithSymlink("argocd", "/usr/local/bin/argocd-"+name)
	}
	redis := dag.Container().
		WithDirectory("/", debian("redis")).
		WithNewFile("/etc/passwd", "root:x:0:0:root:/root:/bin/false\nredis:x:999:999::/data:/bin/false\n").
		WithEnvVariable("PATH", "/usr/bin:/bin").
		WithUser("999:999")
	coredns := dag.Toolbox().Scratch().
		WithoutMount("/tmp").
		WithFile("/coredns", s.Coredns()).
		WithUser("65532:65532").
		WithEntrypoint([]string{"/coredns"})
	kyverno := dag.Toolbox().Scratch().
		WithoutMount("/tmp").
		WithNewFile("/etc/passwd", "nobody:x:65534:65534::/:/bin/false\n").
		WithFile("/kyverno", s.Kyverno()).
		WithUser("65534:65534").
		WithEntrypoint([]string{"/kyverno"})
	return map[string]*dagger.Container{
		"pause:1": pod, "pod:1": pod, "kyverno:1.19.1": kyverno, "argocd:2.14.21": argocd, "redis:7.0.15": redis, "coredns:1.12.4": coredns,
	}
}

// programs are the node's own.
func (*Sandbox) programs() *dagger.Directory {
	source := dag.CurrentModule().Source()
	return dag.Toolbox().Binaries(
		dag.Directory().WithDirectory("node", source.Directory("node")).WithDirectory("pki", source.Directory("pki")),
		[]string{".", "./cmd/slipway-pod"}, dagger.ToolboxBinariesOpts{Folder: "node"})
}

// definitions are the custom resource definitions of Argo CD and Kyverno, from
// their own modules.
func definitions() *dagger.Directory {
	return dag.Directory().
		WithDirectory("/argocd", dag.Toolbox().ModuleFiles(pins("argocd"), "github.com/argoproj/argo-cd/v2@v2.14.21", "manifests/crds"),
			dagger.DirectoryWithDirectoryOpts{Include: []string{"*-crd.yaml"}}).
		WithDirectory("/kyverno", dag.Toolbox().ModuleFiles(pins("kyverno"), "github.com/kyverno/kyverno@v1.19.1", "config/crds"))
}

// platform renders the objects that the node applies first.
func (s *Sandbox) platform(gitops *dagger.Directory) *dagger.File {
	return dag.Toolbox().Scratch().
		WithFile("/kustomize", s.Kustomize()).
		WithMountedDirectory("/gitops", gitops).
		WithExec([]string{"/kustomize", "build", "/gitops/platform/sandbox", "--output", "/platform.yaml"}).
		File("/platform.yaml")
}

func debian(lock string) *dagger.Directory {
	return dag.Toolbox().Debian(dag.CurrentModule().Source().File("debian/" + lock + ".lock"))
}
