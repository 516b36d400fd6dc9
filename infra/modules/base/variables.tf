variable "environment" {
  description = "Name of the environment: a part of every name."
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

variable "part" {
  description = "Which part of the environment this is: the end of every name, where there is more than one."
  type        = string
  default     = ""
  nullable    = false
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

variable "authorized_ranges" {
  description = "The public CIDR ranges that may reach what takes requests from outside: the pipeline's, people's."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition = alltrue([
      for range in var.authorized_ranges : can(cidrnetmask(range)) && try(tonumber(split("/", range)[1]) >= 8, false)
    ])
    error_message = "Each range must be an IPv4 CIDR range of /8 or narrower, such as 203.0.113.0/28."
  }
}

variable "retention_days" {
  description = "How long logs are kept."
  type        = number
  default     = 90
  nullable    = false

  validation {
    condition     = var.retention_days == floor(var.retention_days) && var.retention_days >= 30 && var.retention_days <= 730
    error_message = "Logs are kept for 30 to 730 days."
  }
}

variable "tags" {
  description = "Further tags of every resource."
  type        = map(string)
  default     = {}
  nullable    = false
}
