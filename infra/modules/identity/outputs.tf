output "client_id" {
  description = "The identity, as tokens are asked for it."
  value       = azurerm_user_assigned_identity.this.client_id
}

output "principal_id" {
  description = "The identity, as roles are given to it."
  value       = azurerm_user_assigned_identity.this.principal_id
}
