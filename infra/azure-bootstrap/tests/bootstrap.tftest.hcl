mock_provider "azurerm" {}

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

run "writer_by_name" {
  command = plan

  variables {
    writers = { me = "me@acme.example" }
  }

  expect_failures = [var.writers]
}

run "whole_world" {
  command = plan

  variables {
    authorized_ranges = ["0.0.0.0/0"]
  }

  expect_failures = [var.authorized_ranges]
}
