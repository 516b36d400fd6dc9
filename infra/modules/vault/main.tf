# The vault of the keys that sign images. A key is rotated by a new name in
# var.signing_key.current, with the old one moved to retired: it can't sign any
# more, and what it signed is still verified with its public half.

resource "azurerm_key_vault" "this" {
  name                = var.name
  resource_group_name = var.resource_group_name
  location            = var.location
  tenant_id           = var.tenant_id
  sku_name            = "standard"
  tags                = var.tags

  rbac_authorization_enabled = true
  purge_protection_enabled   = true
  soft_delete_retention_days = 90

  # Who is let in is one thing, from where another.
  public_network_access_enabled = true
  network_acls {
    default_action = "Deny"
    bypass         = "AzureServices"
    ip_rules       = var.authorized_ranges
  }
}

resource "azurerm_key_vault_key" "signing" {
  for_each = toset(concat([var.signing_key.current], var.signing_key.retired))

  name         = each.value
  key_vault_id = azurerm_key_vault.this.id
  key_type     = "EC"
  curve        = "P-256"
  key_opts     = each.value == var.signing_key.current ? ["sign", "verify"] : ["verify"]
  tags         = var.tags

  lifecycle {
    # Another key under an old name would make every signature of the old one
    # false. Retire it instead.
    prevent_destroy = true
  }
}

resource "azurerm_monitor_diagnostic_setting" "this" {
  name                       = "audit"
  target_resource_id         = azurerm_key_vault.this.id
  log_analytics_workspace_id = var.workspace_id

  enabled_log {
    category = "AuditEvent"
  }
}
