# What has to be there before there is a state: the account that keeps states.

module "base" {
  source = "../modules/base"

  environment       = var.environment
  name              = var.name
  part              = "state"
  location          = var.location
  authorized_ranges = var.authorized_ranges
  tags              = var.tags
}

module "state" {
  source = "../modules/state"

  name                = module.base.plain
  resource_group_name = module.base.resource_group_name
  location            = module.base.location
  replication         = var.replication
  authorized_ranges   = module.base.authorized_ranges
  writers             = var.writers
  workspace_id        = module.base.workspace_id
  tags                = module.base.tags
}
