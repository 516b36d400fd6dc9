# This file is maintained automatically by "terraform init".
# Manual edits may be lost in future updates.

# Of the provider as it is compiled from source for the tests: another lock is a
# step of docs/azure.md.
provider "registry.terraform.io/hashicorp/azurerm" {
  version     = "5.2.0+20260824.fae580791926"
  constraints = ">= 5.2.0, < 6.0.0"
  hashes = [
    "h1:jYzSKEY1fdu8fp5YMvS2S5eufAgPeVpQf17gVISAAGQ=",
  ]
}
