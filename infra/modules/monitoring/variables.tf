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

variable "cluster_id" {
  description = "The cluster whose metrics are read."
  type        = string
  nullable    = false
}

variable "cluster_name" {
  description = "Its name, which each of its series has."
  type        = string
  nullable    = false
}

variable "action_group_ids" {
  description = "Action groups that alerts are sent to. Without one, they are seen in Azure's portal alone."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for id in var.action_group_ids : can(regex("(?i)^/subscriptions/[^/]+/resourceGroups/[^/]+/providers/Microsoft\\.Insights/actionGroups/[^/]+$", id))])
    error_message = "Each action group must be a resource ID."
  }
}

variable "tags" {
  description = "Tags of every resource."
  type        = map(string)
  default     = {}
  nullable    = false
}
