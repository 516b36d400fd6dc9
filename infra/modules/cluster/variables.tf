variable "name" {
  description = "Beginning of the names, and of the API server's."
  type        = string
  nullable    = false
}

variable "resource_group_name" {
  description = "The resource group."
  type        = string
  nullable    = false
}

variable "location" {
  description = "The region."
  type        = string
  nullable    = false
}

variable "tenant_id" {
  description = "The Entra tenant that people and pipelines sign in to."
  type        = string
  nullable    = false
}

variable "admin_group_ids" {
  description = "Object IDs of the Entra groups that administer the cluster. Without one, Azure RBAC alone says who does."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for id in var.admin_group_ids : can(regex("^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", id))])
    error_message = "Each group must be an object ID, such as 11111111-2222-3333-4444-555555555555, not a name."
  }
}

variable "kubernetes_version" {
  description = "The minor version that the cluster is made with. The patch channel keeps it current."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^1\\.[0-9]{2}$", var.kubernetes_version))
    error_message = "The version must be a minor one, such as 1.34: the patch channel picks the patch."
  }
}

variable "api_server" {
  description = "Whether the API server is private, which it is unless said, or else the public CIDR ranges that may reach it."
  type = object({
    private           = bool
    authorized_ranges = optional(list(string), [])
  })
  default  = { private = true }
  nullable = false

  validation {
    condition     = try(var.api_server.private != (length(var.api_server.authorized_ranges) > 0), false)
    error_message = "Make the API server private, or name authorized_ranges; not both, and not neither."
  }

  validation {
    # A prefix below /8 is half the world.
    condition = alltrue([
      for range in var.api_server.authorized_ranges :
      can(cidrnetmask(range)) && try(tonumber(split("/", range)[1]) >= 8, false)
    ])
    error_message = "Each of authorized_ranges must be an IPv4 CIDR range of /8 or narrower, such as 203.0.113.0/28."
  }
}

variable "subnet_id" {
  description = "The subnet of the nodes."
  type        = string
  nullable    = false
}

variable "pod_cidr" {
  description = "The pods' addresses; no other network needs to know them."
  type        = string
  default     = "10.244.0.0/16"
  nullable    = false

  validation {
    condition     = can(cidrnetmask(var.pod_cidr))
    error_message = "The pods' addresses must be an IPv4 CIDR range."
  }
}

variable "service_cidr" {
  description = "The services' addresses."
  type        = string
  default     = "10.245.0.0/16"
  nullable    = false

  validation {
    condition     = can(cidrnetmask(var.service_cidr)) && can(cidrhost(var.service_cidr, 10))
    error_message = "The services' addresses must be an IPv4 CIDR range with at least eleven addresses."
  }
}

variable "nodes" {
  description = "The nodes: size, and how few and how many the autoscaler may make of them."
  type = object({
    size  = optional(string, "Standard_D4ds_v5")
    min   = optional(number, 2)
    max   = optional(number, 10)
    zones = optional(list(string), ["1", "2", "3"])
  })
  default  = {}
  nullable = false

  validation {
    condition = try(
      var.nodes.min == floor(var.nodes.min) && var.nodes.max == floor(var.nodes.max) &&
      var.nodes.min >= 2 && var.nodes.min <= var.nodes.max && var.nodes.max <= 1000,
    false)
    error_message = "There must be at least two nodes, and no more at least than at most: one can be upgraded while the other works."
  }
}

variable "workspace_id" {
  description = "The Log Analytics workspace of the audit logs."
  type        = string
  nullable    = false
}

variable "metrics" {
  description = "Whether Azure's collector reads the cluster's metrics."
  type        = bool
  default     = false
  nullable    = false
}

variable "tags" {
  description = "Tags of every resource."
  type        = map(string)
  default     = {}
  nullable    = false
}
