variable "name" {
  description = "The registry's name, which is the beginning of its address and known to the whole world."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9]{5,50}$", var.name))
    error_message = "A registry's name has 5 to 50 lower-case letters and digits."
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

variable "authorized_ranges" {
  description = "The public CIDR ranges that may reach the registry. None: everybody who has a token."
  type        = list(string)
  default     = []
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
