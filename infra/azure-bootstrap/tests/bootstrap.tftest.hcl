# OpenTofu makes up what only Azure knows as early as in the plan; the provider wants
# IDs in it to be such.
mock_provider "azurerm" {
  mock_resource "azurerm_storage_account" {
    defaults = {
      id = "/subscriptions/00000000-0000-4000-8000-000000000002/resourceGroups/acme-dev/providers/Microsoft.Storage/storageAccounts/acmestate"
    }
  }

  mock_resource "azurerm_storage_container" {
    defaults = {
      id = "/subscriptions/00000000-0000-4000-8000-000000000002/resourceGroups/acme-platform-state/providers/Microsoft.Storage/storageAccounts/acmestate/blobServices/default/containers/tfstate"
    }
  }

  mock_resource "azurerm_resource_group" {
    defaults = {
      id = "/subscriptions/00000000-0000-4000-8000-000000000002/resourceGroups/acme-platform-state"
    }
  }

  mock_resource "azurerm_user_assigned_identity" {
    defaults = {
      id = "/subscriptions/00000000-0000-4000-8000-000000000002/resourceGroups/acme-platform-state/providers/Microsoft.ManagedIdentity/userAssignedIdentities/founder"
    }
  }

  mock_resource "azurerm_log_analytics_workspace" {
    defaults = {
      id = "/subscriptions/00000000-0000-4000-8000-000000000002/resourceGroups/acme-dev/providers/Microsoft.OperationalInsights/workspaces/logs"
    }
  }
}

variables {
  environment = "platform"
  name        = "acme"
  location    = "westeurope"
}

run "named" {
  command = plan

  assert {
    condition     = output.state.storageAccount == "acmeplatformstate" && output.state.container == "tfstate" && output.state.type == "azurerm"
    error_message = "What slipway.yaml has to say."
  }
}

run "founded" {
  command = plan

  assert {
    condition     = length(module.founder) == 0 && output.founder == null
    error_message = "Nobody may do everything unless it is said."
  }
}

run "founding" {
  command = plan

  variables {
    founder = { issuer = "https://token.actions.githubusercontent.com", subject = "repo:acme/platform:environment:founding" }
  }

  assert {
    condition     = length(module.founder) == 1
    error_message = "Somebody has to begin."
  }
}

run "writer_by_name" {
  command = plan

  variables {
    writers = { me = "me@acme.example" }
  }

  expect_failures = [var.writers]
}
