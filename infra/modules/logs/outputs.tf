output "workspace_id" {
  description = "The workspace that diagnostic settings send to."
  value       = azurerm_log_analytics_workspace.this.id
}
