output "id" {
  description = "The registry."
  value       = azurerm_container_registry.this.id
}

output "login_server" {
  description = "The registry's address."
  value       = azurerm_container_registry.this.login_server
}
