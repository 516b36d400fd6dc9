terraform {
  required_version = ">= 1.9, < 2.0"

  required_providers {
    azurerm = {
      source  = "registry.terraform.io/hashicorp/azurerm"
      version = ">= 5.2, < 6.0"
    }
  }

  # No backend: the first run keeps its state beside the code, because what it
  # makes is where states are kept. README.md says how that state moves there.
}

provider "azurerm" {
  resource_provider_registrations = "none"
  # The account has no shared keys to be used.
  storage_use_azuread = true

  features {}
}
