# What has to be there before there is a state: the account that keeps states.

locals {
  name = "${var.name}-${var.environment}-state"
  tags = merge(var.tags, {
    "managed-by"  = "terraform"
    "environment" = var.environment
  })
}

resource "azurerm_resource_group" "this" {
  name     = local.name
  location = var.location
  tags     = local.tags
}

module "logs" {
  source = "../modules/logs"

  name                = local.name
  resource_group_name = azurerm_resource_group.this.name
  location            = var.location
  tags                = local.tags
}

module "state" {
  source = "../modules/state"

  name                = replace(local.name, "-", "")
  resource_group_name = azurerm_resource_group.this.name
  location            = var.location
  replication         = var.replication
  authorized_ranges   = var.authorized_ranges
  writers             = var.writers
  workspace_id        = module.logs.workspace_id
  tags                = local.tags
}
