# The registry of images and of what is attested about them. Roles on it are
# conditions on repositories, and a pull needs one, too.

resource "azurerm_container_registry" "this" {
  name                = var.name
  resource_group_name = var.resource_group_name
  location            = var.location
  sku                 = "Premium"
  tags                = var.tags

  admin_enabled          = false
  anonymous_pull_enabled = false
  role_assignment_mode   = "AbacRepositoryPermissions"
  # Tokens of the registry's own audience only: one for ARM opens ARM.
  azuread_authentication_as_arm_policy_enabled = false

  # No retention_policy_in_days: releases are pinned by digest, without a tag, and
  # a purge of what has no tag would take the running image and its signatures.

  public_network_access_enabled = true
  network_rule_bypass_option    = "AzureServices"

  dynamic "network_rule_set" {
    for_each = length(var.authorized_ranges) == 0 ? [] : [var.authorized_ranges]
    content {
      default_action = "Deny"

      dynamic "ip_rule" {
        for_each = toset(network_rule_set.value)
        content {
          action   = "Allow"
          ip_range = ip_rule.value
        }
      }
    }
  }
}

resource "azurerm_monitor_diagnostic_setting" "this" {
  name                       = "audit"
  target_resource_id         = azurerm_container_registry.this.id
  log_analytics_workspace_id = var.workspace_id

  dynamic "enabled_log" {
    for_each = toset(["ContainerRegistryLoginEvents", "ContainerRegistryRepositoryEvents"])
    content {
      category = enabled_log.value
    }
  }
}
