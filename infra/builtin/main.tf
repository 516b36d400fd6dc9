# The sandbox's environments, described with Terraform's built-in provider
# alone: no provider is downloaded, so there is no lock file.

locals {
  labels = merge(var.labels, {
    "app.kubernetes.io/managed-by"       = "terraform"
    "pod-security.kubernetes.io/enforce" = "restricted"
    "environment"                        = var.environment
  })
}

resource "terraform_data" "namespace" {
  input = {
    name   = var.environment
    labels = local.labels
  }

  # Another name is another namespace.
  triggers_replace = var.environment
}

resource "terraform_data" "quota" {
  input = {
    namespace = terraform_data.namespace.output.name
    pods      = var.quota.pods
    cpu       = "${var.quota.cpu_milli}m"
    memory    = "${var.quota.memory_mib}Mi"
  }
}
