variable "name" {
  description = "The storage account's name, known to the whole world."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9]{3,24}$", var.name))
    error_message = "A storage account's name has 3 to 24 lower-case letters and digits."
  }
}

variable "container" {
  description = "The container's name."
  type        = string
  default     = "tfstate"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9-]{1,61}[a-z0-9])$", var.container)) && !strcontains(var.container, "--")
    error_message = "A container's name has 3 to 63 lower-case letters, digits and single dashes."
  }
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

variable "replication" {
  description = "How the account is replicated."
  type        = string
  default     = "GZRS"
  nullable    = false

  validation {
    condition     = contains(["ZRS", "GRS", "RAGRS", "GZRS", "RAGZRS"], var.replication)
    error_message = "The replication must be ZRS, GRS, RAGRS, GZRS or RAGZRS: a state in one building is lost with it."
  }
}

variable "authorized_ranges" {
  description = "The public CIDR ranges that may reach the account, beside Azure's own services. Storage takes none narrower than /30 but single addresses, /32."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = !anytrue([for range in var.authorized_ranges : endswith(range, "/31")])
    error_message = "Storage takes ranges of /30 or wider, and single addresses as /32."
  }
}

variable "writers" {
  description = "Object IDs of who plans and applies, each under a name."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "workspace_id" {
  description = "The Log Analytics workspace of the audit logs."
  type        = string
  nullable    = false
}

variable "tags" {
  description = "Tags of every resource."
  type        = map(string)
  default     = {}
  nullable    = false
}
