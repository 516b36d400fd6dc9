# One environment in Azure: a hardened cluster, the registry of its images, the
# vault of the key that signs them, and an identity for each purpose of the
# pipeline. No one of them has a password.

locals {
  own          = var.shared == null
  registry_id  = local.own ? module.registry[0].id : var.shared.registry_id
  login_server = local.own ? module.registry[0].login_server : var.shared.login_server
  vault_id     = local.own ? module.vault[0].id : var.shared.vault_id
  key_id       = local.own ? module.vault[0].signing_key_id : var.shared.key_id
  key          = local.own ? module.vault[0].signing_key : var.shared.key

  group = module.base.resource_group_id

  # Repositories by the beginning of their name, in the registry's own terms.
  # https://learn.microsoft.com/azure/container-registry/container-registry-rbac-abac-repository-permissions
  repositories = <<-E
    (
     (
      !(ActionMatches{'Microsoft.ContainerRegistry/registries/repositories/content/read'})
      AND
      !(ActionMatches{'Microsoft.ContainerRegistry/registries/repositories/content/write'})
      AND
      !(ActionMatches{'Microsoft.ContainerRegistry/registries/repositories/metadata/read'})
      AND
      !(ActionMatches{'Microsoft.ContainerRegistry/registries/repositories/metadata/write'})
     )
     OR
     (
      @Request[Microsoft.ContainerRegistry/registries/repositories:name] StringStartsWithIgnoreCase '${var.repositories}'
     )
    )
  E

  # What the apply identity may give to others: the roles of this code, by their
  # IDs, which are the same everywhere.
  given = {
    "Reader"                                     = "acdd72a7-3385-48ef-bd42-f606fba81ae7"
    "Network Contributor"                        = "4d97b98b-1d4f-4787-a291-c67834d212e7"
    "Key Vault Reader"                           = "21090545-7ca7-4776-b22c-e363652d74d2"
    "Key Vault Crypto User"                      = "12338af0-0e69-4776-bea7-57ae8d297424"
    "Key Vault Secrets User"                     = "4633458b-17de-408a-b874-0445c86b69e6"
    "Container Registry Repository Reader"       = "b93aa761-3e63-49ed-ac28-beffa264f7ac"
    "Container Registry Repository Writer"       = "2a1e307c-b015-4ebd-883e-5b7698a07328"
    "Azure Kubernetes Service Cluster User Role" = "4abbcc35-e782-43d8-92c5-2d3f1bd2253f"
    "Azure Kubernetes Service RBAC Reader"       = "7f6c6a51-bcf8-42ba-9220-52d62157d7db"
  }
  delegation = <<-E
    (
     (
      !(ActionMatches{'Microsoft.Authorization/roleAssignments/write'})
     )
     OR
     (
      @Request[Microsoft.Authorization/roleAssignments:RoleDefinitionId] ForAnyOfAnyValues:GuidEquals {${join(", ", values(local.given))}}
     )
    )
    AND
    (
     (
      !(ActionMatches{'Microsoft.Authorization/roleAssignments/delete'})
     )
     OR
     (
      @Resource[Microsoft.Authorization/roleAssignments:RoleDefinitionId] ForAnyOfAnyValues:GuidEquals {${join(", ", values(local.given))}}
     )
    )
  E

  # Who plans, and who releases: a release looks for drift.
  look = {
    group = { role = "Reader", scope = local.group }
    vault = { role = "Key Vault Reader", scope = local.vault_id }
    # The provider reads the cluster's kubeconfig, which here is nobody's: it only
    # says where to sign in.
    cluster = { role = "Azure Kubernetes Service Cluster User Role", scope = module.cluster.id }
  }

  apart = {
    plan = local.look
    apply = merge(
      {
        group = { role = "Contributor", scope = local.group }
        roles = { role = "Role Based Access Control Administrator", scope = local.group, condition = local.delegation }
      },
      local.own ? { vault = { role = "Key Vault Crypto Officer", scope = local.vault_id } } : {},
    )
    publish = {
      push = { role = "Container Registry Repository Writer", scope = local.registry_id, condition = local.repositories }
      sign = { role = "Key Vault Crypto User", scope = local.key_id }
    }
    release = merge(local.look, {
      pull    = { role = "Container Registry Repository Reader", scope = local.registry_id, condition = local.repositories }
      observe = { role = "Azure Kubernetes Service RBAC Reader", scope = module.cluster.id }
    })
  }
  # One job that does all of it has one identity, where somebody is trusted so far.
  roles = merge(local.apart, {
    for purpose in ["deliver"] : purpose => merge(local.apart.release, local.apart.publish, local.apart.apply)
    if contains(keys(var.federated), purpose)
  })
}

module "base" {
  source = "../modules/base"

  environment       = var.environment
  name              = var.name
  location          = var.location
  authorized_ranges = var.authorized_ranges
  tags              = var.tags
}

module "network" {
  source = "../modules/network"

  name                = module.base.name
  resource_group_name = module.base.resource_group_name
  location            = module.base.location
  address_space       = var.address_space
  tags                = module.base.tags
}

module "cluster" {
  source = "../modules/cluster"

  name                = module.base.name
  resource_group_name = module.base.resource_group_name
  location            = module.base.location
  tenant_id           = var.tenant_id
  admin_group_ids     = var.admin_group_ids
  kubernetes_version  = var.kubernetes_version
  api_server          = var.api_server
  subnet_id           = module.network.nodes_subnet_id
  nodes               = var.nodes
  workspace_id        = module.base.workspace_id
  metrics             = var.monitoring != null
  tags                = module.base.tags
}

module "monitoring" {
  source = "../modules/monitoring"
  count  = var.monitoring == null ? 0 : 1

  name                = module.base.name
  resource_group_name = module.base.resource_group_name
  location            = module.base.location
  cluster_id          = module.cluster.id
  cluster_name        = module.cluster.name
  action_group_ids    = var.monitoring.action_group_ids
  tags                = module.base.tags
}

module "registry" {
  source = "../modules/registry"
  count  = local.own ? 1 : 0

  name                = "${module.base.plain}acr"
  resource_group_name = module.base.resource_group_name
  location            = module.base.location
  authorized_ranges   = module.base.authorized_ranges
  workspace_id        = module.base.workspace_id
  tags                = module.base.tags
}

module "vault" {
  source = "../modules/vault"
  count  = local.own ? 1 : 0

  name                = "${module.base.name}-kv"
  resource_group_name = module.base.resource_group_name
  location            = module.base.location
  tenant_id           = var.tenant_id
  authorized_ranges   = module.base.authorized_ranges
  signing_key         = var.signing_key
  workspace_id        = module.base.workspace_id
  tags                = module.base.tags
}

module "identity" {
  source   = "../modules/identity"
  for_each = local.roles

  name                = "${module.base.name}-${each.key}"
  resource_group_name = module.base.resource_group_name
  location            = module.base.location
  federated           = lookup(var.federated, each.key, {})
  roles               = each.value
  tags                = module.base.tags
}

# Pods that are somebody in Azure, by the tokens of the cluster's own issuer.
module "workload" {
  source   = "../modules/identity"
  for_each = var.workloads

  name                = "${module.base.name}-${each.key}"
  resource_group_name = module.base.resource_group_name
  location            = module.base.location
  federated           = { cluster = { issuer = module.cluster.oidc_issuer_url, subject = "system:serviceaccount:${each.value.service_account}" } }
  roles = merge(
    each.value.pulls ? { pull = { role = "Container Registry Repository Reader", scope = local.registry_id, condition = local.repositories } } : {},
    { for name, id in each.value.vaults : name => { role = "Key Vault Secrets User", scope = id } },
  )
  tags = module.base.tags
}

# The nodes pull what the pipeline pushed, and nothing else.
resource "azurerm_role_assignment" "pull" {
  scope                = local.registry_id
  role_definition_name = "Container Registry Repository Reader"
  principal_id         = module.cluster.kubelet_principal_id
  principal_type       = "ServicePrincipal"
  condition            = local.repositories
  condition_version    = "2.0"
}
