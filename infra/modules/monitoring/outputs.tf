output "workspace_id" {
  description = "Where the metrics are."
  value       = azurerm_monitor_workspace.this.id
}

output "query_endpoint" {
  description = "Where they are asked for."
  value       = azurerm_monitor_workspace.this.query_endpoint
}
