output "id" {
  description = "The vault."
  value       = azurerm_key_vault.this.id
}

output "uri" {
  description = "The vault's address."
  value       = azurerm_key_vault.this.vault_uri
}

output "signing_key" {
  description = "The key that signs, as an address with its version, without https://."
  value       = trimprefix(azurerm_key_vault_key.signing[var.signing_key.current].id, "https://")
}

output "signing_key_id" {
  description = "The key that signs, as roles are given on it."
  value       = azurerm_key_vault_key.signing[var.signing_key.current].resource_versionless_id
}

output "public_keys" {
  description = "Each key's public half, in PEM: what verifies its signatures."
  value       = { for name, key in azurerm_key_vault_key.signing : name => key.public_key_pem }
}
