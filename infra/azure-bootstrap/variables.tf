variable "environment" {
  description = "Name of the environment that shares this account with others of the same subscription, such as platform."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?$", var.environment))
    error_message = "The environment must be a DNS label of 1 to 12 lower-case letters, digits and dashes."
  }
}

variable "name" {
  description = "Name of the platform: the beginning of every name."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9]{2,7}$", var.name))
    error_message = "The name must be 3 to 8 lower-case letters and digits, the first a letter."
  }
}

variable "location" {
  description = "The region, as Azure abbreviates it."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9]{3,30}$", var.location))
    error_message = "The location must be a region's short name, such as westeurope."
  }
}

variable "replication" {
  description = "How the account is replicated."
  type        = string
  default     = "GZRS"
  nullable    = false
}

variable "authorized_ranges" {
  description = "The public CIDR ranges that may reach the account: the pipeline's, people's. Storage takes none narrower than /30 but single addresses, /32."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition = alltrue([
      for range in var.authorized_ranges : can(cidrnetmask(range)) && try(
        tonumber(split("/", range)[1]) >= 8 && tonumber(split("/", range)[1]) != 31,
      false)
    ])
    error_message = "Each range must be an IPv4 CIDR range of /8 to /30, or one address as /32."
  }
}

variable "writers" {
  description = "Object IDs of who plans and applies, each under a name: yours at first, then the output principals of infra/azure."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for id in values(var.writers) : can(regex("^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", id))])
    error_message = "Each writer must be an object ID."
  }
}

variable "tags" {
  description = "Further tags of every resource."
  type        = map(string)
  default     = {}
  nullable    = false
}
