output "state" {
  description = "slipway.yaml: infra.state."
  value = {
    type           = "azurerm"
    resourceGroup  = module.base.resource_group_name
    storageAccount = module.state.account
    container      = module.state.container
  }
}

output "container_id" {
  description = "The container, as roles are given on it."
  value       = module.state.container_id
}

output "founder" {
  description = "Client ID of who makes environments for the first time; null when there is nobody."
  value       = one(module.founder[*].client_id)
}
