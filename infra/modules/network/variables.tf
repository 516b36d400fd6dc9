variable "name" {
  description = "Beginning of the names."
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

variable "address_space" {
  description = "The network's addresses, a private IPv4 range of /16 to /24. The nodes have its first /24."
  type        = string
  nullable    = false

  validation {
    condition = (
      can(cidrnetmask(var.address_space)) &&
      can(regex("^(10\\.|172\\.(1[6-9]|2[0-9]|3[01])\\.|192\\.168\\.)", var.address_space)) &&
      try(tonumber(split("/", var.address_space)[1]) >= 16 && tonumber(split("/", var.address_space)[1]) <= 24, false)
    )
    error_message = "The address space must be a private IPv4 range of /16 to /24, such as 10.20.0.0/16."
  }
}

variable "tags" {
  description = "Tags of every resource."
  type        = map(string)
  default     = {}
  nullable    = false
}
