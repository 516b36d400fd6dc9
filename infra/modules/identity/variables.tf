variable "name" {
  description = "The identity's name."
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

variable "federated" {
  description = "Whose tokens are taken, each under a name: issuer and subject as the CI system states them."
  type        = map(object({ issuer = string, subject = string }))
  nullable    = false

  validation {
    condition     = alltrue([for f in values(var.federated) : can(regex("^https://[^\\s*?#]+$", f.issuer))])
    error_message = "Each issuer must be an https URL, exactly as the CI system states it."
  }

  validation {
    condition     = alltrue([for f in values(var.federated) : length(trimspace(f.subject)) > 0 && f.subject == trimspace(f.subject) && !strcontains(f.subject, "*")])
    error_message = "Each subject must be one exact subject: Entra knows no wildcards."
  }

  validation {
    condition     = length(distinct([for f in values(var.federated) : "${f.issuer} ${f.subject}"])) == length(var.federated)
    error_message = "Each issuer and subject may be named once."
  }
}

variable "roles" {
  description = "What it may do, each under a name: a role, its scope, and the condition that narrows it."
  type        = map(object({ role = string, scope = string, condition = optional(string) }))
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for r in values(var.roles) : !contains(["Owner", "User Access Administrator"], r.role)])
    error_message = "No pipeline is an Owner or a User Access Administrator: give the roles that its purpose needs."
  }
}

variable "tags" {
  description = "Tags of every resource."
  type        = map(string)
  default     = {}
  nullable    = false
}
