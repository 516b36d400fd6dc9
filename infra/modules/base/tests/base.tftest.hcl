mock_provider "azurerm" {}

variables {
  environment = "dev"
  name        = "acme"
  location    = "westeurope"
}

run "named" {
  command = plan

  variables {
    part = "state"
    tags = { "managed-by" = "hand", "cost-centre" = "1" }
  }

  assert {
    condition     = azurerm_resource_group.this.name == "acme-dev-state" && output.plain == "acmedevstate"
    error_message = "Every name says whose it is."
  }

  assert {
    condition     = output.tags == { "managed-by" = "terraform", "environment" = "dev", "cost-centre" = "1" }
    error_message = "Nobody's tag hides who manages it."
  }

  assert {
    condition     = !azurerm_log_analytics_workspace.this.local_authentication_enabled && azurerm_log_analytics_workspace.this.retention_in_days == 90
    error_message = "No key opens the logs."
  }
}

run "long_environment" {
  command = plan

  variables {
    environment = "production-europe"
  }

  expect_failures = [var.environment]
}

run "long_name" {
  command = plan

  variables {
    name = "platform1"
  }

  expect_failures = [var.name]
}

run "location_in_words" {
  command = plan

  variables {
    location = "West Europe"
  }

  expect_failures = [var.location]
}

run "whole_world" {
  command = plan

  variables {
    authorized_ranges = ["0.0.0.0/0"]
  }

  expect_failures = [var.authorized_ranges]
}

run "forgotten_soon" {
  command = plan

  variables {
    retention_days = 7
  }

  expect_failures = [var.retention_days]
}
