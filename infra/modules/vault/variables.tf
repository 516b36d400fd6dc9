variable "name" {
  description = "The vault's name, which is the beginning of its address and known to the whole world."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]([a-z0-9-]{1,22})[a-z0-9]$", var.name)) && !strcontains(var.name, "--")
    error_message = "A vault's name has 3 to 24 lower-case letters, digits and single dashes."
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

variable "tenant_id" {
  description = "The Entra tenant whose identities are let in."
  type        = string
  nullable    = false
}

variable "authorized_ranges" {
  description = "The public CIDR ranges that may reach the vault, beside Azure's own services."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "signing_key" {
  description = "Name of the key that signs, and of those that signed before."
  type = object({
    current = optional(string, "slipway-1")
    retired = optional(list(string), [])
  })
  default  = {}
  nullable = false

  validation {
    condition = try(
      alltrue([for name in concat([var.signing_key.current], var.signing_key.retired) : can(regex("^[A-Za-z0-9-]{1,127}$", name))]) &&
      length(distinct(concat([var.signing_key.current], var.signing_key.retired))) == 1 + length(var.signing_key.retired),
    false)
    error_message = "Each key has a name of its own, of letters, digits and dashes, and one that is retired signs no more."
  }
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
