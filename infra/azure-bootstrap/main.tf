# What has to be there before there is a state: the account that keeps states, and
# who makes the first environment.

locals {
  subscription = join("/", slice(split("/", module.base.resource_group_id), 0, 3))
}

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
  writers             = merge(var.writers, { for identity in module.founder : "founder" => identity.principal_id })
  workspace_id        = module.base.workspace_id
  tags                = module.base.tags
}

# An environment's own identities are made with it. Until then a job is this one, which
# may make groups and give roles in the whole subscription: it is there no longer than
# var.founder is.
module "founder" {
  source = "../modules/identity"
  count  = var.founder == null ? 0 : 1

  name                = "${module.base.name}-founder"
  resource_group_name = module.base.resource_group_name
  location            = module.base.location
  federated           = { founding = var.founder }
  roles = {
    make  = { role = "Contributor", scope = local.subscription }
    roles = { role = "Role Based Access Control Administrator", scope = local.subscription }
    keys  = { role = "Key Vault Crypto Officer", scope = local.subscription }
  }
  tags = module.base.tags
}
