variable "environment" {
  description = "Name of the environment that shares this account with others of the same subscription, such as platform."
  type        = string
  nullable    = false
}

variable "name" {
  description = "Name of the platform: the beginning of every name."
  type        = string
  nullable    = false
}

variable "location" {
  description = "The region, as Azure abbreviates it."
  type        = string
  nullable    = false
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

variable "founder" {
  description = "Whose tokens are taken for the identity that makes environments for the first time: issuer and subject, as the CI system states them. Null once they are there."
  type        = object({ issuer = string, subject = string })
  default     = null
}

variable "tags" {
  description = "Further tags of every resource."
  type        = map(string)
  default     = {}
  nullable    = false
}
