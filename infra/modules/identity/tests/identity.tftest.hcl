# OpenTofu makes up what only Azure knows as early as in the plan; the provider wants
# IDs in it to be such.
mock_provider "azurerm" {
  mock_resource "azurerm_user_assigned_identity" {
    defaults = {
      id = "/subscriptions/00000000-0000-4000-8000-000000000002/resourceGroups/acme-dev/providers/Microsoft.ManagedIdentity/userAssignedIdentities/acme-dev-plan"
    }
  }
}

variables {
  name                = "acme-dev-plan"
  resource_group_name = "acme-dev"
  location            = "westeurope"
  federated           = { github = { issuer = "https://token.actions.githubusercontent.com", subject = "repo:acme/platform:environment:dev" } }
  roles               = { group = { role = "Reader", scope = "/subscriptions/00000000-0000-4000-8000-000000000002/resourceGroups/acme-dev" } }
}

run "trusts_one_subject" {
  command = plan

  assert {
    condition     = azurerm_federated_identity_credential.this["github"].audience == tolist(["api://AzureADTokenExchange"]) && azurerm_federated_identity_credential.this["github"].subject == "repo:acme/platform:environment:dev"
    error_message = "One subject of one issuer, for Entra."
  }

  assert {
    condition     = azurerm_role_assignment.this["group"].role_definition_name == "Reader"
    error_message = "It has the roles of its purpose."
  }
}

run "wildcard" {
  command = plan

  variables {
    federated = { github = { issuer = "https://token.actions.githubusercontent.com", subject = "repo:acme/*" } }
  }

  expect_failures = [var.federated]
}

run "plain_issuer" {
  command = plan

  variables {
    federated = { github = { issuer = "http://issuer.example", subject = "x" } }
  }

  expect_failures = [var.federated]
}

run "owner" {
  command = plan

  variables {
    roles = { all = { role = "Owner", scope = "/subscriptions/00000000-0000-4000-8000-000000000002" } }
  }

  expect_failures = [var.roles]
}
