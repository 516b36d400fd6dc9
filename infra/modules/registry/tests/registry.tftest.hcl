# OpenTofu makes up what only Azure knows as early as in the plan; the provider wants
# IDs in it to be such.
mock_provider "azurerm" {
  mock_resource "azurerm_container_registry" {
    defaults = {
      id = "/subscriptions/00000000-0000-4000-8000-000000000002/resourceGroups/acme-dev/providers/Microsoft.ContainerRegistry/registries/acmedevacr"
    }
  }
}

variables {
  name                = "acmedevacr"
  resource_group_name = "acme-dev"
  location            = "westeurope"
  workspace_id        = "/subscriptions/00000000-0000-4000-8000-000000000002/resourceGroups/acme-dev/providers/Microsoft.OperationalInsights/workspaces/logs"
}

run "hardened" {
  command = plan

  assert {
    condition     = azurerm_container_registry.this.sku == "Premium"
    error_message = "Network rules need Premium."
  }

  assert {
    condition     = !azurerm_container_registry.this.admin_enabled && !azurerm_container_registry.this.anonymous_pull_enabled
    error_message = "Nobody has the admin's password, and nobody pulls without a name."
  }

  assert {
    condition     = azurerm_container_registry.this.role_assignment_mode == "AbacRepositoryPermissions"
    error_message = "Roles are on repositories."
  }

  assert {
    condition     = !azurerm_container_registry.this.azuread_authentication_as_arm_policy_enabled
    error_message = "A token for Resource Manager opens no registry."
  }

  assert {
    condition     = coalesce(azurerm_container_registry.this.retention_policy_in_days, 0) == 0
    error_message = "A purge of what has no tag would take releases."
  }
}

run "ranges" {
  command = plan

  variables {
    authorized_ranges = ["203.0.113.0/28"]
  }

  assert {
    condition     = azurerm_container_registry.this.network_rule_set[0].default_action == "Deny"
    error_message = "What is not named is not let in."
  }
}

run "dash" {
  command = plan

  variables {
    name = "acme-dev"
  }

  expect_failures = [var.name]
}
