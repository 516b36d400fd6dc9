variable "environment" {
  description = "Name of the environment: a part of every name."
  type        = string
  nullable    = false
}

variable "name" {
  description = "Name of the platform: the beginning of every name. Those of registry and vault are known to the whole world."
  type        = string
  nullable    = false
}

variable "location" {
  description = "The region, as Azure abbreviates it."
  type        = string
  nullable    = false
}

variable "tenant_id" {
  description = "The Entra tenant."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", var.tenant_id))
    error_message = "The tenant must be its ID in lower case, not its name."
  }
}

variable "address_space" {
  description = "The network's addresses, a private IPv4 range of /16 to /24."
  type        = string
  default     = "10.20.0.0/16"
  nullable    = false
}

variable "kubernetes_version" {
  description = "The minor version that the cluster is made with."
  type        = string
  default     = "1.34"
  nullable    = false
}

variable "api_server" {
  description = "Whether the Kubernetes API is private, which it is unless said, or else the public CIDR ranges that may reach it."
  type = object({
    private           = bool
    authorized_ranges = optional(list(string), [])
  })
  default  = { private = true }
  nullable = false
}

variable "authorized_ranges" {
  description = "The public CIDR ranges that may reach registry and vault: the pipeline's, people's."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "nodes" {
  description = "The cluster's nodes: size, and how few and how many there may be."
  type = object({
    size  = optional(string, "Standard_D4ds_v5")
    min   = optional(number, 2)
    max   = optional(number, 10)
    zones = optional(list(string), ["1", "2", "3"])
  })
  default  = {}
  nullable = false
}

variable "admin_group_ids" {
  description = "Object IDs of the Entra groups that administer the cluster."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "signing_key" {
  description = "Name of the key that signs, and of those that signed before: they verify still."
  type = object({
    current = optional(string, "slipway-1")
    retired = optional(list(string), [])
  })
  default  = {}
  nullable = false
}

variable "repositories" {
  description = "Beginning of the repositories in the registry that the pipeline pushes to, with a slash at its end."
  type        = string
  default     = "apps/"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9]+([._-][a-z0-9]+)*(/[a-z0-9]+([._-][a-z0-9]+)*)*/$", var.repositories))
    error_message = "The repositories' beginning must be a path that ends in a slash, such as apps/."
  }
}

variable "shared" {
  description = "Registry and key of the environment that has them, for one that shares them; null makes them here. A promoted image keeps its digest, its signature and so its registry."
  type = object({
    registry_id  = string
    login_server = string
    vault_id     = string
    key_id       = string
    key          = string
  })
  default = null

  validation {
    condition = var.shared == null ? true : (
      can(regex("^/subscriptions/[^/]+/resourceGroups/[^/]+/providers/Microsoft\\.ContainerRegistry/registries/[^/]+$", var.shared.registry_id)) &&
      can(regex("^/subscriptions/[^/]+/resourceGroups/[^/]+/providers/Microsoft\\.KeyVault/vaults/[^/]+$", var.shared.vault_id)) &&
      startswith(var.shared.key_id, "${var.shared.vault_id}/keys/")
    )
    error_message = "Copy shared from the output shared of the environment that has the registry and the key."
  }
}

variable "federated" {
  description = <<-E
    Whose tokens are taken, for each purpose: plan, apply, publish and release, or
    deliver for the last three in one call. Under a name each, issuer and subject as the CI system states them. GitHub's are
    https://token.actions.githubusercontent.com and repo:<owner>/<repository>:environment:<environment>;
    Azure DevOps' are copied from the service connection.
  E
  type        = map(map(object({ issuer = string, subject = string })))
  nullable    = false

  validation {
    condition     = length(setsubtract(keys(var.federated), ["plan", "apply", "publish", "release", "deliver"])) == 0
    error_message = "The purposes are plan, apply, publish, release and deliver."
  }

  validation {
    # Whoever can plan could apply, and a pull request's token could do both.
    condition = length(distinct(flatten([for f in values(var.federated) : [for c in values(f) : "${c.issuer} ${c.subject}"]]))) == (
    length(flatten([for f in values(var.federated) : [for c in values(f) : "${c.issuer} ${c.subject}"]])))
    error_message = "Each issuer and subject may be of one purpose only."
  }
}

variable "workloads" {
  description = <<-E
    Pods that have an identity, each under a name: their service account, as
    namespace:name; whether they read the repositories of images; and the IDs of the
    vaults whose secrets they read, each under a name. The signing key's is none of them.
  E
  type = map(object({
    service_account = string
    pulls           = optional(bool, false)
    vaults          = optional(map(string), {})
  }))
  default = {
    argocd         = { service_account = "argocd:argocd-repo-server" }
    argocd-secrets = { service_account = "argocd:argocd-redis" }
    kyverno        = { service_account = "kyverno:kyverno-admission-controller", pulls = true }
    gateway        = { service_account = "gateway:gateway" }
  }
  nullable = false

  validation {
    condition     = length(setintersection(keys(var.workloads), ["plan", "apply", "publish", "release", "deliver"])) == 0
    error_message = "The names plan, apply, publish, release and deliver are the pipeline's."
  }

  validation {
    condition     = alltrue([for w in values(var.workloads) : can(regex("^[a-z0-9]([a-z0-9-]*[a-z0-9])?:[a-z0-9]([a-z0-9.-]*[a-z0-9])?$", w.service_account))])
    error_message = "Each service account must be namespace:name, exactly."
  }

  validation {
    condition     = alltrue(flatten([for w in values(var.workloads) : [for id in values(w.vaults) : can(regex("^/subscriptions/[^/]+/resourceGroups/[^/]+/providers/Microsoft\\.KeyVault/vaults/[^/]+$", id)) && !endswith(id, "/${var.name}-${var.environment}-kv")]]))
    error_message = "Each vault must be the ID of one, and not of the signing key's."
  }
}

variable "monitoring" {
  description = "Managed Prometheus with the platform's alerts, and the action groups that they are sent to; null has none of it."
  type        = object({ action_group_ids = optional(list(string), []) })
  default     = null
}

variable "tags" {
  description = "Further tags of every resource."
  type        = map(string)
  default     = {}
  nullable    = false
}
