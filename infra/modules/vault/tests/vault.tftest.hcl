# OpenTofu makes up what only Azure knows as early as in the plan; the provider wants
# IDs in it to be such.
mock_provider "azurerm" {
  mock_resource "azurerm_key_vault" {
    defaults = {
      id = "/subscriptions/00000000-0000-4000-8000-000000000002/resourceGroups/acme-dev/providers/Microsoft.KeyVault/vaults/acme-dev-kv"
    }
  }
}

variables {
  name                = "acme-dev-kv"
  resource_group_name = "acme-dev"
  location            = "westeurope"
  tenant_id           = "00000000-0000-4000-8000-000000000001"
  workspace_id        = "/subscriptions/00000000-0000-4000-8000-000000000002/resourceGroups/acme-dev/providers/Microsoft.OperationalInsights/workspaces/logs"
}

run "hardened" {
  command = plan

  assert {
    condition     = azurerm_key_vault.this.rbac_authorization_enabled && azurerm_key_vault.this.purge_protection_enabled && azurerm_key_vault.this.soft_delete_retention_days == 90
    error_message = "Roles decide, and nothing is lost at once."
  }

  assert {
    condition     = azurerm_key_vault.this.network_acls[0].default_action == "Deny"
    error_message = "What is not named is not let in."
  }

  assert {
    condition = (
      azurerm_key_vault_key.signing["slipway-1"].key_type == "EC" && azurerm_key_vault_key.signing["slipway-1"].curve == "P-256" &&
      toset(azurerm_key_vault_key.signing["slipway-1"].key_opts) == toset(["sign", "verify"])
    )
    error_message = "The key signs and verifies, and nothing else."
  }
}

run "rotated" {
  command = plan

  variables {
    signing_key = { current = "slipway-2", retired = ["slipway-1"] }
  }

  assert {
    condition = (
      toset(azurerm_key_vault_key.signing["slipway-2"].key_opts) == toset(["sign", "verify"]) &&
      azurerm_key_vault_key.signing["slipway-1"].key_opts == tolist(["verify"])
    )
    error_message = "A retired key verifies, and signs no more."
  }
}

run "signs_and_retired" {
  command = plan

  variables {
    signing_key = { current = "slipway-1", retired = ["slipway-1"] }
  }

  expect_failures = [var.signing_key]
}

run "long_name" {
  command = plan

  variables {
    name = "acme-production-platform-kv"
  }

  expect_failures = [var.name]
}
