output "name" {
  description = "Beginning of the names."
  value       = local.name
}

output "plain" {
  description = "The same where dashes are not allowed."
  value       = replace(local.name, "-", "")
}

output "tags" {
  description = "Tags of every resource."
  value       = local.tags
}

output "location" {
  description = "The region."
  value       = var.location
}

output "authorized_ranges" {
  description = "The public CIDR ranges that may reach what takes requests from outside."
  value       = var.authorized_ranges
}

output "resource_group_name" {
  description = "The resource group."
  value       = azurerm_resource_group.this.name
}

output "resource_group_id" {
  description = "The resource group, as roles are given on it."
  value       = azurerm_resource_group.this.id
}

output "workspace_id" {
  description = "The Log Analytics workspace of the audit logs."
  value       = azurerm_log_analytics_workspace.this.id
}
