mock_provider "azurerm" {
  mock_resource "azurerm_storage_account" {
    defaults = {
      id = "/subscriptions/00000000-0000-4000-8000-000000000002/resourceGroups/acme-state/providers/Microsoft.Storage/storageAccounts/acmestate"
    }
  }
}

variables {
  name                = "acmestate"
  resource_group_name = "acme-state"
  location            = "westeurope"
  workspace_id        = "/subscriptions/00000000-0000-4000-8000-000000000002/resourceGroups/acme-dev/providers/Microsoft.OperationalInsights/workspaces/logs"
}

run "hardened" {
  command = plan

  assert {
    condition     = !azurerm_storage_account.this.shared_access_key_enabled && !azurerm_storage_account.this.local_user_enabled
    error_message = "No key and no local user opens the state."
  }

  assert {
    condition = (
      azurerm_storage_account.this.blob_properties[0].versioning_enabled &&
      azurerm_storage_account.this.blob_properties[0].delete_retention_policy[0].days == 90 &&
      azurerm_storage_account.this.blob_properties[0].container_delete_retention_policy[0].days == 90
    )
    error_message = "A state that was overwritten or deleted can be had back."
  }

  assert {
    condition     = !azurerm_storage_account.this.allow_nested_items_to_be_public && azurerm_storage_container.this.container_access_type == "private"
    error_message = "Nobody reads the state without a name."
  }

  assert {
    condition     = azurerm_storage_account.this.network_rules[0].default_action == "Deny"
    error_message = "What is not named is not let in."
  }
}

run "one_building" {
  command = plan

  variables {
    replication = "LRS"
  }

  expect_failures = [var.replication]
}

run "two_addresses" {
  command = plan

  variables {
    authorized_ranges = ["203.0.113.0/31"]
  }

  expect_failures = [var.authorized_ranges]
}
