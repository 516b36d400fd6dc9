# One team's share of a cluster, in one environment: for each of its apps a
# namespace with its limits, its rules of traffic and access, and the Argo CD
# project that confines what Git may put there.
#
# Objects are applied server-side. A field that is set here belongs to this code:
# what somebody else made of it is drift, the plan names it, and the apply of
# that checked plan takes it back. Fields that are not set here are left alone.

locals {
  # App -> namespace. The app's project has the same name.
  namespaces = { for app in var.apps : app => "${app}-${var.environment}" }

  labels = {
    "app.kubernetes.io/managed-by" = "terraform"
    "environment"                  = var.environment
  }

  quota = {
    cpu    = "${var.quota.cpu_milli}m"
    memory = "${var.quota.memory_mib}Mi"
  }

  # What may run below the team's projects. Everything else is refused, and so
  # is whatever belongs to the cluster and not to a namespace. Pods and
  # ReplicaSets are those of Deployments: Argo CD does not show, nor judge, what
  # the project leaves out. An environment may name more.
  kinds = merge(var.kinds, {
    ""                  = ["ConfigMap", "Pod", "Service", "ServiceAccount"]
    "apps"              = ["Deployment", "ReplicaSet"]
    "autoscaling"       = ["HorizontalPodAutoscaler"]
    "networking.k8s.io" = ["Ingress", "NetworkPolicy"]
    "policy"            = ["PodDisruptionBudget"]
  })
}

resource "kubectl_manifest" "namespace" {
  for_each = local.namespaces

  server_side_apply = true
  force_conflicts   = true

  yaml_body = yamlencode({
    apiVersion = "v1"
    kind       = "Namespace"
    metadata = {
      name = each.value
      # What the cluster's admission asks a signed decision for.
      annotations = { "slipway.dev/sidecars" = join(" ", lookup(var.sidecars, each.key, [])) }
      labels = merge(local.labels, {
        "slipway.dev/app"                    = each.key
        "slipway.dev/environment"            = var.environment
        "pod-security.kubernetes.io/audit"   = "restricted"
        "pod-security.kubernetes.io/enforce" = "restricted"
        "pod-security.kubernetes.io/warn"    = "restricted"
      })
    }
  })
}

resource "kubectl_manifest" "quota" {
  for_each   = local.namespaces
  depends_on = [kubectl_manifest.namespace]

  server_side_apply = true
  force_conflicts   = true

  yaml_body = yamlencode({
    apiVersion = "v1"
    kind       = "ResourceQuota"
    metadata   = { name = "share", namespace = each.value, labels = local.labels }
    spec = {
      hard = {
        "pods"            = tostring(var.quota.pods)
        "requests.cpu"    = local.quota.cpu
        "requests.memory" = local.quota.memory
        "limits.cpu"      = local.quota.cpu
        "limits.memory"   = local.quota.memory
      }
    }
  })
}

resource "kubectl_manifest" "limits" {
  for_each   = local.namespaces
  depends_on = [kubectl_manifest.namespace]

  server_side_apply = true
  force_conflicts   = true

  yaml_body = yamlencode({
    apiVersion = "v1"
    kind       = "LimitRange"
    metadata   = { name = "containers", namespace = each.value, labels = local.labels }
    spec = {
      limits = [{
        type           = "Container"
        defaultRequest = { cpu = "${var.container.request.cpu_milli}m", memory = "${var.container.request.memory_mib}Mi" }
        default        = { cpu = "${var.container.limit.cpu_milli}m", memory = "${var.container.limit.memory_mib}Mi" }
        max            = { cpu = "${var.container.max.cpu_milli}m", memory = "${var.container.max.memory_mib}Mi" }
      }]
    }
  })
}

# No traffic but what another policy allows: an app's own, from Git, lets in
# what it serves.
resource "kubectl_manifest" "default_deny" {
  for_each   = local.namespaces
  depends_on = [kubectl_manifest.namespace]

  server_side_apply = true
  force_conflicts   = true

  yaml_body = yamlencode({
    apiVersion = "networking.k8s.io/v1"
    kind       = "NetworkPolicy"
    metadata   = { name = "default-deny", namespace = each.value, labels = local.labels }
    spec = {
      podSelector = {}
      policyTypes = ["Ingress", "Egress"]
    }
  })
}

resource "kubectl_manifest" "allow_dns" {
  for_each   = local.namespaces
  depends_on = [kubectl_manifest.namespace]

  server_side_apply = true
  force_conflicts   = true

  yaml_body = yamlencode({
    apiVersion = "networking.k8s.io/v1"
    kind       = "NetworkPolicy"
    metadata   = { name = "allow-dns", namespace = each.value, labels = local.labels }
    spec = {
      podSelector = {}
      policyTypes = ["Egress"]
      egress = [{
        to = [{
          namespaceSelector = { matchLabels = { "kubernetes.io/metadata.name" = "kube-system" } }
          podSelector       = { matchLabels = { "k8s-app" = "kube-dns" } }
        }]
        ports = [for protocol in ["UDP", "TCP"] : { protocol = protocol, port = 53 }]
      }]
    }
  })
}

# The team reads what runs and what it says, and changes it through Git alone.
# Secrets and what gets into a pod (exec, port-forward) are not among it.
resource "kubectl_manifest" "viewer" {
  for_each   = local.namespaces
  depends_on = [kubectl_manifest.namespace]

  server_side_apply = true
  force_conflicts   = true

  yaml_body = yamlencode({
    apiVersion = "rbac.authorization.k8s.io/v1"
    kind       = "Role"
    metadata   = { name = "developers", namespace = each.value, labels = local.labels }
    rules = [for group, resources in {
      ""              = ["pods", "pods/log", "events"]
      "apps"          = ["daemonsets", "deployments", "replicasets", "statefulsets"]
      "batch"         = ["cronjobs", "jobs"]
      "events.k8s.io" = ["events"]
    } : { apiGroups = [group], resources = resources, verbs = ["get", "list", "watch"] }]
  })
}

resource "kubectl_manifest" "viewers" {
  for_each = local.namespaces
  # A binding without its role grants nothing, but says that it does.
  depends_on = [kubectl_manifest.viewer]

  server_side_apply = true
  force_conflicts   = true

  yaml_body = yamlencode({
    apiVersion = "rbac.authorization.k8s.io/v1"
    kind       = "RoleBinding"
    metadata   = { name = "developers", namespace = each.value, labels = local.labels }
    roleRef    = { apiGroup = "rbac.authorization.k8s.io", kind = "Role", name = "developers" }
    subjects   = [{ apiGroup = "rbac.authorization.k8s.io", kind = "Group", name = "${each.key}-developers" }]
  })
}

# Argo CD itself, with its AppProject kind, is there before this runs.
resource "kubectl_manifest" "project" {
  for_each   = local.namespaces
  depends_on = [kubectl_manifest.namespace]

  server_side_apply = true
  force_conflicts   = true

  yaml_body = yamlencode({
    apiVersion = "argoproj.io/v1alpha1"
    kind       = "AppProject"
    metadata   = { name = each.value, namespace = "argocd", labels = local.labels }
    spec = {
      description              = "${each.key} in ${var.environment}"
      sourceRepos              = [var.repository]
      destinations             = [{ server = "https://kubernetes.default.svc", namespace = each.value }]
      clusterResourceWhitelist = []
      namespaceResourceWhitelist = flatten([
        for group, kinds in local.kinds : [for kind in kinds : { group = group, kind = kind }]
      ])
    }
  })
}
