# What a scanner of code can't tell: asserted on the real provider's schema.

# OpenTofu makes up what only Azure knows as early as in the plan; the provider wants
# IDs in it to be such.
mock_provider "azurerm" {
  mock_resource "azurerm_kubernetes_cluster" {
    defaults = {
      id = "/subscriptions/00000000-0000-4000-8000-000000000002/resourceGroups/acme-dev/providers/Microsoft.ContainerService/managedClusters/acme-dev-aks"
    }
  }
}

variables {
  name                = "acme-dev"
  resource_group_name = "acme-dev"
  location            = "westeurope"
  tenant_id           = "00000000-0000-4000-8000-000000000001"
  kubernetes_version  = "1.34"
  api_server          = { private = false, authorized_ranges = ["203.0.113.0/28"] }
  subnet_id           = "/subscriptions/00000000-0000-4000-8000-000000000002/resourceGroups/acme-dev/providers/Microsoft.Network/virtualNetworks/v/subnets/nodes"
  workspace_id        = "/subscriptions/00000000-0000-4000-8000-000000000002/resourceGroups/acme-dev/providers/Microsoft.OperationalInsights/workspaces/logs"
}

run "hardened" {
  command = plan

  assert {
    condition     = azurerm_kubernetes_cluster.this.local_account_disabled
    error_message = "Local accounts are passwords that nobody rotates."
  }

  assert {
    condition = (
      azurerm_kubernetes_cluster.this.role_based_access_control_enabled &&
      azurerm_kubernetes_cluster.this.azure_active_directory_role_based_access_control[0].azure_rbac_enabled &&
      azurerm_kubernetes_cluster.this.azure_active_directory_role_based_access_control[0].tenant_id == var.tenant_id
    )
    error_message = "Entra signs in, and Azure RBAC decides."
  }

  assert {
    condition     = azurerm_kubernetes_cluster.this.oidc_issuer_enabled && azurerm_kubernetes_cluster.this.workload_identity_enabled
    error_message = "Pods need identities of their own."
  }

  assert {
    condition     = azurerm_kubernetes_cluster.this.identity[0].type == "SystemAssigned"
    error_message = "The cluster has no password either."
  }

  assert {
    condition     = !azurerm_kubernetes_cluster.this.run_command_enabled
    error_message = "run command goes round the API server's network."
  }

  assert {
    condition     = azurerm_kubernetes_cluster.this.automatic_upgrade_channel == "patch" && azurerm_kubernetes_cluster.this.node_os_upgrade_channel == "NodeImage"
    error_message = "Patches come by themselves."
  }

  assert {
    condition = (
      azurerm_kubernetes_cluster.this.maintenance_window_auto_upgrade[0].day_of_week == "Saturday" &&
      azurerm_kubernetes_cluster.this.maintenance_window_node_os[0].day_of_week == "Saturday"
    )
    error_message = "Patches come when they are expected."
  }

  assert {
    condition     = azurerm_kubernetes_cluster.this.azure_policy_enabled && azurerm_kubernetes_cluster.this.image_cleaner_enabled
    error_message = "Azure Policy and the image cleaner are on."
  }

  assert {
    condition     = azurerm_kubernetes_cluster.this.key_vault_secrets_provider[0].secret_rotation_enabled
    error_message = "Secrets from the vault follow it."
  }

  assert {
    condition = (
      azurerm_kubernetes_cluster.this.network_profile[0].network_plugin == "azure" &&
      azurerm_kubernetes_cluster.this.network_profile[0].network_plugin_mode == "overlay" &&
      azurerm_kubernetes_cluster.this.network_profile[0].network_policy == "calico"
    )
    error_message = "Network policies need somebody to enforce them."
  }

  assert {
    condition = (
      azurerm_kubernetes_cluster.this.default_node_pool[0].auto_scaling_enabled &&
      azurerm_kubernetes_cluster.this.default_node_pool[0].min_count == 2 &&
      azurerm_kubernetes_cluster.this.default_node_pool[0].max_count == 10
    )
    error_message = "The cluster scales from 2 to 10 nodes."
  }

  assert {
    condition     = azurerm_kubernetes_cluster.this.sku_tier == "Standard"
    error_message = "The API server has an uptime agreement."
  }

  assert {
    condition     = azurerm_kubernetes_cluster.this.api_server_access_profile[0].authorized_ip_ranges == toset(["203.0.113.0/28"])
    error_message = "The API server is reached from the ranges alone."
  }

  assert {
    condition     = length(azurerm_monitor_diagnostic_setting.this.enabled_log) == 4
    error_message = "What is asked of the API server is kept."
  }
}

run "private" {
  command = plan

  variables {
    api_server = { private = true }
  }

  assert {
    condition     = azurerm_kubernetes_cluster.this.private_cluster_enabled && length(azurerm_kubernetes_cluster.this.api_server_access_profile) == 0
    error_message = "A private API server has no public ranges."
  }
}

run "open_api_server" {
  command = plan

  variables {
    api_server = { private = false }
  }

  expect_failures = [var.api_server]
}

run "private_and_public" {
  command = plan

  variables {
    api_server = { private = true, authorized_ranges = ["203.0.113.0/28"] }
  }

  expect_failures = [var.api_server]
}

run "whole_world" {
  command = plan

  variables {
    api_server = { private = false, authorized_ranges = ["0.0.0.0/0"] }
  }

  expect_failures = [var.api_server]
}

run "half_worlds" {
  command = plan

  variables {
    api_server = { private = false, authorized_ranges = ["0.0.0.0/1", "128.0.0.0/1"] }
  }

  expect_failures = [var.api_server]
}

run "one_node" {
  command = plan

  variables {
    nodes = { min = 1, max = 1 }
  }

  expect_failures = [var.nodes]
}

run "patch_version" {
  command = plan

  variables {
    kubernetes_version = "1.34.2"
  }

  expect_failures = [var.kubernetes_version]
}

run "metrics" {
  command = plan

  variables {
    metrics = true
  }

  assert {
    condition     = length(azurerm_kubernetes_cluster.this.monitor_metrics) == 1
    error_message = "Azure's collector is on."
  }
}
