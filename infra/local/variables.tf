variable "environment" {
  description = "Name of the environment: the end of its namespaces' names."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", var.environment))
    error_message = "The environment must be a DNS label: 1 to 63 lower-case letters, digits and dashes."
  }
}

variable "apps" {
  description = "The team's apps. Each has a namespace and a project of its own, <app>-<environment>."
  type        = list(string)
  default     = ["hello", "pages", "legacy"]
  nullable    = false

  validation {
    condition     = length(var.apps) > 0
    error_message = "Name at least one app."
  }

  validation {
    condition     = length(var.apps) == length(distinct(var.apps))
    error_message = "Each app may be named once."
  }

  validation {
    condition     = alltrue([for app in var.apps : can(regex("^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", app))])
    error_message = "Each app must be a DNS label: lower-case letters, digits and dashes."
  }

  validation {
    condition     = alltrue([for app in var.apps : length("${app}-${var.environment}") <= 63])
    error_message = "A namespace's name, <app>-<environment>, must not be longer than 63 characters."
  }
}

variable "sidecars" {
  description = "App -> further apps whose images may run in its namespace, as sidecars. Each needs a decision of its own for the environment."
  type        = map(list(string))
  default     = {}
  nullable    = false

  validation {
    condition     = length(setsubtract(keys(var.sidecars), var.apps)) == 0
    error_message = "Sidecars can be named for the team's apps alone."
  }

  validation {
    condition     = alltrue([for app in flatten(values(var.sidecars)) : can(regex("^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", app))])
    error_message = "Each sidecar must be the name of an app: lower-case letters, digits and dashes."
  }
}

variable "repository" {
  description = "The GitOps repository's http(s) URL, as Argo CD reaches it: the only place that manifests come from."
  type        = string
  nullable    = false

  validation {
    # Argo CD reads it as a pattern: a wildcard would let in more than one.
    condition     = can(regex("^https?://[A-Za-z0-9][A-Za-z0-9.-]*(:[0-9]{1,5})?(/[A-Za-z0-9._~%-]+)+$", var.repository))
    error_message = "The repository must be one http(s) URL, without credentials, query and wildcards."
  }

  validation {
    condition     = !strcontains(var.repository, "fill-in-")
    error_message = "The repository still has a placeholder, fill-in-…: put your own repository in its place."
  }
}

variable "kinds" {
  description = "Further kinds that apps may have, by their group: those of the cluster's add-ons."
  type        = map(list(string))
  default     = {}
  nullable    = false

  validation {
    # A closed list: roles, quotas, policies and projects are the platform's.
    condition = alltrue([for group, kinds in var.kinds : length(setsubtract(kinds, lookup({
      "azmonitoring.coreos.com"    = ["PodMonitor", "ServiceMonitor"]
      "gateway.networking.k8s.io"  = ["GRPCRoute", "HTTPRoute"]
      "secrets-store.csi.x-k8s.io" = ["SecretProviderClass"]
    }, group, []))) == 0])
    error_message = "Further kinds may be azmonitoring.coreos.com's monitors, gateway.networking.k8s.io's routes and secrets-store.csi.x-k8s.io's SecretProviderClass."
  }
}

variable "quota" {
  description = "What each of the namespaces may use in all."
  type = object({
    pods       = number
    cpu_milli  = number
    memory_mib = number
  })
  nullable = false

  validation {
    condition     = alltrue([for value in values(var.quota) : try(value > 0 && value == floor(value), false)])
    error_message = "Each part of the quota must be a whole number above zero."
  }
}

variable "container" {
  description = "What a container gets that says nothing (request, limit), and the most that it may ask for (max)."
  type = object({
    request = object({ cpu_milli = number, memory_mib = number })
    limit   = object({ cpu_milli = number, memory_mib = number })
    max     = object({ cpu_milli = number, memory_mib = number })
  })
  default = {
    request = { cpu_milli = 50, memory_mib = 64 }
    limit   = { cpu_milli = 250, memory_mib = 128 }
    max     = { cpu_milli = 1000, memory_mib = 1024 }
  }
  nullable = false

  validation {
    condition = alltrue(flatten([
      for part in values(var.container) : [for value in values(part) : try(value > 0 && value == floor(value), false)]
    ]))
    error_message = "Each part of request, limit and max must be a whole number above zero."
  }

  validation {
    condition = alltrue([for unit in ["cpu_milli", "memory_mib"] : try(
      var.container.request[unit] <= var.container.limit[unit] &&
      var.container.limit[unit] <= var.container.max[unit] &&
      var.container.max[unit] <= var.quota[unit],
    false)])
    error_message = "A container's request must not exceed its limit, the limit not max, and max not the namespace's quota."
  }
}
