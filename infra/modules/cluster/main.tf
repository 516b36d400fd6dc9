# A cluster that nobody has a password for: Entra signs people and pipelines in,
# Azure RBAC says what they may do, and pods have identities of their own.

locals {
  # Saturday night, UTC: what an upgrade breaks is seen before Monday's work.
  maintenance = { day = "Saturday", time = "22:00", hours = 6 }
}

resource "azurerm_kubernetes_cluster" "this" {
  name                = "${var.name}-aks"
  resource_group_name = var.resource_group_name
  location            = var.location
  dns_prefix          = var.name
  kubernetes_version  = var.kubernetes_version
  # With an uptime agreement; Free has none.
  sku_tier = "Standard"
  tags     = var.tags

  # Who: Entra and Azure RBAC alone.
  local_account_disabled            = true
  role_based_access_control_enabled = true
  oidc_issuer_enabled               = true
  workload_identity_enabled         = true
  # A command that the API server runs for whoever may call Azure goes round the
  # network's limits.
  run_command_enabled = false

  azure_active_directory_role_based_access_control {
    azure_rbac_enabled     = true
    tenant_id              = var.tenant_id
    admin_group_object_ids = var.admin_group_ids
  }

  identity {
    type = "SystemAssigned"
  }

  # From where.
  private_cluster_enabled = var.api_server.private

  dynamic "api_server_access_profile" {
    for_each = var.api_server.private ? [] : [var.api_server.authorized_ranges]
    content {
      authorized_ip_ranges = api_server_access_profile.value
    }
  }

  network_profile {
    network_plugin      = "azure"
    network_plugin_mode = "overlay"
    network_policy      = "calico"
    load_balancer_sku   = "standard"
    pod_cidr            = var.pod_cidr
    service_cidr        = var.service_cidr
    dns_service_ip      = cidrhost(var.service_cidr, 10)
  }

  default_node_pool {
    name                 = "system"
    vm_size              = var.nodes.size
    vnet_subnet_id       = var.subnet_id
    auto_scaling_enabled = true
    min_count            = var.nodes.min
    max_count            = var.nodes.max
    zones                = var.nodes.zones
    os_sku               = "AzureLinux"
    # Room for the pool that takes its place while a change needs a new one.
    temporary_name_for_rotation = "rotation"

    upgrade_settings {
      max_surge = "10%"
    }
  }

  node_provisioning_profile {
    mode = "Manual"
  }

  key_vault_secrets_provider {
    secret_rotation_enabled  = true
    secret_rotation_interval = "2m"
  }

  # What may run, what is left over, and how it stays current.
  azure_policy_enabled         = true
  image_cleaner_enabled        = true
  image_cleaner_interval_hours = 48
  automatic_upgrade_channel    = "patch"
  node_os_upgrade_channel      = "NodeImage"

  maintenance_window_auto_upgrade {
    frequency   = "Weekly"
    interval    = 1
    day_of_week = local.maintenance.day
    start_time  = local.maintenance.time
    duration    = local.maintenance.hours
    utc_offset  = "+00:00"
  }

  maintenance_window_node_os {
    frequency   = "Weekly"
    interval    = 1
    day_of_week = local.maintenance.day
    start_time  = local.maintenance.time
    duration    = local.maintenance.hours
    utc_offset  = "+00:00"
  }

  oms_agent {
    log_analytics_workspace_id      = var.workspace_id
    msi_auth_for_monitoring_enabled = true
  }

  dynamic "monitor_metrics" {
    for_each = var.metrics ? [1] : []
    content {}
  }

  lifecycle {
    # The autoscaler's, and what the patch channel chose.
    ignore_changes = [default_node_pool[0].node_count, kubernetes_version]
  }
}

resource "azurerm_monitor_diagnostic_setting" "this" {
  name                           = "audit"
  target_resource_id             = azurerm_kubernetes_cluster.this.id
  log_analytics_workspace_id     = var.workspace_id
  log_analytics_destination_type = "Dedicated"

  dynamic "enabled_log" {
    # kube-audit-admin is kube-audit without reads, at a tenth of its size.
    for_each = toset(["kube-apiserver", "kube-audit-admin", "guard", "cluster-autoscaler"])
    content {
      category = enabled_log.value
    }
  }
}

# Load balancers of services get their addresses in the nodes' subnet.
resource "azurerm_role_assignment" "subnet" {
  scope                = var.subnet_id
  role_definition_name = "Network Contributor"
  principal_id         = azurerm_kubernetes_cluster.this.identity[0].principal_id
  principal_type       = "ServicePrincipal"
}
