output "registry" {
  description = "slipway.yaml: registry.repository."
  value       = "${local.login_server}/${trimsuffix(var.repositories, "/")}"
}

output "cluster" {
  description = "slipway.yaml: cluster.server; and where the cluster is."
  value = {
    server         = module.cluster.server
    name           = module.cluster.name
    resource_group = module.base.resource_group_name
    oidc_issuer    = module.cluster.oidc_issuer_url
  }
}

output "signing_key" {
  description = "with-kms-key --uri: azurekms:// and this."
  value       = local.key
}

output "public_keys" {
  description = "slipway.yaml: signing.publicKey is the path of the current one, committed; the others verify what was signed before. Empty where the key is shared."
  value       = local.own ? module.vault[0].public_keys : {}
}

output "identities" {
  description = "Each purpose's client ID: what the CI system asks tokens for."
  value       = { for purpose, identity in module.identity : purpose => identity.client_id }
}

output "workloads" {
  description = "Client IDs of the pods' identities: gitops/platform/azure/values."
  value       = { for name, identity in module.workload : name => identity.client_id }
}

output "principals" {
  description = "Each purpose's object ID: the state's writers are plan and apply."
  value       = { for purpose, identity in module.identity : purpose => identity.principal_id }
}

output "shared" {
  description = "The variable shared of an environment that shares registry and key."
  value = {
    registry_id  = local.registry_id
    login_server = local.login_server
    vault_id     = local.vault_id
    key_id       = local.key_id
    key          = local.key
  }
}
