terraform {
  required_version = ">= 1.9, < 2.0"

  required_providers {
    azurerm = {
      source  = "registry.terraform.io/hashicorp/azurerm"
      version = ">= 5.2, < 6.0"
    }
  }

  # Where the state lives is said by the run, never by the code.
  backend "http" {}
}

# Who asks, in which tenant and subscription, is said by the run: ARM_*.
provider "azurerm" {
  # Registering providers needs rights on the whole subscription: see the docs.
  resource_provider_registrations = "none"

  features {
    key_vault {
      # A key that signed is never purged, and its name never taken over unseen.
      purge_soft_delete_on_destroy               = false
      purge_soft_deleted_keys_on_destroy         = false
      recover_soft_deleted_key_vaults            = false
      recover_soft_deleted_keys                  = false
      purge_soft_deleted_certificates_on_destroy = false
      purge_soft_deleted_secrets_on_destroy      = false
    }
    resource_group {
      prevent_deletion_if_contains_resources = true
    }
  }
}
