# OpenTofu makes up what only Azure knows as early as in the plan; the provider wants
# IDs in it to be such.
mock_provider "azurerm" {
  mock_resource "azurerm_resource_group" {
    defaults = {
      id = "/subscriptions/00000000-0000-4000-8000-000000000002/resourceGroups/acme-dev"
    }
  }

  mock_resource "azurerm_container_registry" {
    defaults = {
      id = "/subscriptions/00000000-0000-4000-8000-000000000002/resourceGroups/acme-dev/providers/Microsoft.ContainerRegistry/registries/acmedevacr"
    }
  }

  mock_resource "azurerm_user_assigned_identity" {
    defaults = {
      id = "/subscriptions/00000000-0000-4000-8000-000000000002/resourceGroups/acme-dev/providers/Microsoft.ManagedIdentity/userAssignedIdentities/acme-dev-plan"
    }
  }

  mock_resource "azurerm_log_analytics_workspace" {
    defaults = {
      id = "/subscriptions/00000000-0000-4000-8000-000000000002/resourceGroups/acme-dev/providers/Microsoft.OperationalInsights/workspaces/logs"
    }
  }
}

override_module {
  target = module.network
  outputs = {
    nodes_subnet_id = "/subscriptions/00000000-0000-4000-8000-000000000002/resourceGroups/acme-dev/providers/Microsoft.Network/virtualNetworks/acme-dev-vnet/subnets/nodes"
  }
}

override_module {
  target = module.vault
  outputs = {
    id             = "/subscriptions/00000000-0000-4000-8000-000000000002/resourceGroups/acme-dev/providers/Microsoft.KeyVault/vaults/acme-dev-kv"
    uri            = "https://acme-dev-kv.vault.azure.net/"
    signing_key    = "acme-dev-kv.vault.azure.net/keys/slipway-1/1"
    signing_key_id = "/subscriptions/00000000-0000-4000-8000-000000000002/resourceGroups/acme-dev/providers/Microsoft.KeyVault/vaults/acme-dev-kv/keys/slipway-1"
    public_keys    = {}
  }
}

override_module {
  target = module.cluster
  outputs = {
    id                   = "/subscriptions/00000000-0000-4000-8000-000000000002/resourceGroups/acme-dev/providers/Microsoft.ContainerService/managedClusters/acme-dev-aks"
    name                 = "acme-dev-aks"
    server               = "https://acme-dev.hcp.westeurope.azmk8s.io:443"
    oidc_issuer_url      = "https://westeurope.oic.prod-aks.azure.com/x/"
    kubelet_principal_id = "00000000-0000-4000-8000-0000000000c2"
  }
}

variables {
  environment = "dev"
  name        = "acme"
  location    = "westeurope"
  tenant_id   = "00000000-0000-4000-8000-000000000001"
  api_server  = { private = false, authorized_ranges = ["203.0.113.0/28"] }
  federated = {
    plan  = { github = { issuer = "https://token.actions.githubusercontent.com", subject = "repo:acme/platform:pull_request" } }
    apply = { github = { issuer = "https://token.actions.githubusercontent.com", subject = "repo:acme/platform:environment:dev" } }
  }
}

run "least_roles" {
  command = plan

  assert {
    condition     = [for r in values(local.roles.plan) : r.role] == ["Azure Kubernetes Service Cluster User Role", "Reader", "Key Vault Reader"]
    error_message = "Who plans, reads."
  }

  assert {
    condition = alltrue([
      for r in flatten([for purpose in values(local.roles) : values(purpose)]) :
      contains(["Contributor", "Role Based Access Control Administrator", "Key Vault Crypto Officer"], r.role) ||
      contains(keys(local.given), r.role)
    ])
    error_message = "What the apply identity has to give is among what it may give."
  }

  assert {
    condition     = strcontains(azurerm_role_assignment.pull.condition, "'apps/'") && azurerm_role_assignment.pull.condition_version == "2.0"
    error_message = "The nodes pull the apps' repositories alone."
  }
}

run "one_call" {
  command = plan

  variables {
    federated = {
      deliver = { github = { issuer = "https://token.actions.githubusercontent.com", subject = "repo:acme/platform:environment:dev" } }
    }
  }

  assert {
    condition = [for r in values(local.roles.deliver) : r.role] == [
      "Azure Kubernetes Service Cluster User Role", "Contributor", "Azure Kubernetes Service RBAC Reader", "Container Registry Repository Reader",
      "Container Registry Repository Writer", "Role Based Access Control Administrator", "Key Vault Crypto User", "Key Vault Crypto Officer",
    ]
    error_message = "One job that does all of it may do all of it, and no more."
  }
}

run "each_apart" {
  command = plan

  assert {
    condition     = keys(module.identity) == ["apply", "plan", "publish", "release"]
    error_message = "Nobody has it all unless it is said."
  }
}

run "one_subject_for_two_purposes" {
  command = plan

  variables {
    federated = {
      plan  = { github = { issuer = "https://token.actions.githubusercontent.com", subject = "repo:acme/platform:pull_request" } }
      apply = { github = { issuer = "https://token.actions.githubusercontent.com", subject = "repo:acme/platform:pull_request" } }
    }
  }

  expect_failures = [var.federated]
}

run "pods" {
  command = plan

  variables {
    workloads = {
      kyverno = { service_account = "kyverno:kyverno-admission-controller", pulls = true }
      hello   = { service_account = "hello-production-azure:hello", vaults = { own = "/subscriptions/00000000-0000-4000-8000-000000000002/resourceGroups/hello/providers/Microsoft.KeyVault/vaults/hello-secrets" } }
    }
  }

  assert {
    condition     = keys(module.workload) == ["hello", "kyverno"]
    error_message = "Each pod that is named has an identity, and no other."
  }
}

run "pods_of_the_pipeline" {
  command = plan

  variables {
    workloads = { publish = { service_account = "hello:hello" } }
  }

  expect_failures = [var.workloads]
}

run "pods_of_every_namespace" {
  command = plan

  variables {
    workloads = { hello = { service_account = "*:hello" } }
  }

  expect_failures = [var.workloads]
}

run "pods_that_read_beside_the_key" {
  command = plan

  variables {
    workloads = { hello = { service_account = "hello:hello", vaults = { own = "/subscriptions/00000000-0000-4000-8000-000000000002/resourceGroups/acme-dev/providers/Microsoft.KeyVault/vaults/acme-dev-kv" } } }
  }

  expect_failures = [var.workloads]
}

run "unknown_purpose" {
  command = plan

  variables {
    federated = { admin = {} }
  }

  expect_failures = [var.federated]
}

run "tenant_by_name" {
  command = plan

  variables {
    tenant_id = "acme.onmicrosoft.com"
  }

  expect_failures = [var.tenant_id]
}

run "another_registrys_key" {
  command = plan

  variables {
    shared = {
      registry_id  = "/subscriptions/s/resourceGroups/g/providers/Microsoft.ContainerRegistry/registries/r"
      login_server = "r.azurecr.io"
      vault_id     = "/subscriptions/s/resourceGroups/g/providers/Microsoft.KeyVault/vaults/v"
      key_id       = "/subscriptions/s/resourceGroups/g/providers/Microsoft.KeyVault/vaults/other/keys/k"
      key          = "v.vault.azure.net/keys/k/1"
    }
  }

  expect_failures = [var.shared]
}

run "no_metrics_unless_said" {
  command = plan

  assert {
    condition     = length(module.monitoring) == 0
    error_message = "Managed Prometheus costs something: nobody gets it unasked."
  }
}

run "metrics" {
  command = plan

  variables {
    monitoring = {}
  }

  assert {
    condition     = length(module.monitoring) == 1
    error_message = "What is said is made."
  }
}
