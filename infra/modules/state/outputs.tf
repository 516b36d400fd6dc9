output "account" {
  description = "The storage account's name."
  value       = azurerm_storage_account.this.name
}

output "container" {
  description = "The container's name."
  value       = azurerm_storage_container.this.name
}

output "container_id" {
  description = "The container, as roles are given on it."
  value       = azurerm_storage_container.this.id
}
