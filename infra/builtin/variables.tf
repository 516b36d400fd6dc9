variable "environment" {
  description = "Name of the environment; also the name of its namespace."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", var.environment))
    error_message = "The environment must be a DNS label: 1 to 63 lower-case letters, digits and dashes."
  }
}

variable "quota" {
  description = "What the environment's namespace may use in all."
  type = object({
    pods       = number
    cpu_milli  = number
    memory_mib = number
  })
  nullable = false

  validation {
    condition     = var.quota.pods > 0 && var.quota.cpu_milli > 0 && var.quota.memory_mib > 0
    error_message = "Each part of the quota must be above zero."
  }
}

variable "labels" {
  description = "Labels of the environment's namespace, beside the fixed ones."
  type        = map(string)
  default     = {}
  nullable    = false
}
