# Managed Prometheus: where the cluster's metrics go, and what somebody is told. What
# is read of pods is in Git, gitops/platform/azure/monitoring.yaml.

locals {
  # Prometheus' own form, which tools/rules tests.
  groups = { for group in yamldecode(file("${path.module}/alerts.yaml")).groups : group.name => group }
  # Azure's: 0 is the worst.
  severities = { critical = 1, warning = 2 }
}

resource "azurerm_monitor_workspace" "this" {
  name                = "${var.name}-metrics"
  resource_group_name = var.resource_group_name
  location            = var.location
  tags                = var.tags
}

# The cluster's collector sends there.
resource "azurerm_monitor_data_collection_rule_association" "this" {
  name                    = "metrics"
  target_resource_id      = var.cluster_id
  data_collection_rule_id = azurerm_monitor_workspace.this.default_data_collection_rule_id
}

resource "azurerm_monitor_alert_prometheus_rule_group" "this" {
  for_each = local.groups

  name                = "${var.name}-${each.key}"
  resource_group_name = var.resource_group_name
  location            = var.location
  cluster_name        = var.cluster_name
  scopes              = [azurerm_monitor_workspace.this.id]
  interval            = "PT${upper(each.value.interval)}"
  rule_group_enabled  = true
  tags                = var.tags

  dynamic "rule" {
    for_each = each.value.rules
    content {
      alert       = rule.value.alert
      expression  = rule.value.expr
      for         = "PT${upper(try(rule.value.for, "0m"))}"
      severity    = local.severities[rule.value.labels.severity]
      labels      = rule.value.labels
      annotations = rule.value.annotations
      enabled     = true

      dynamic "action" {
        for_each = var.action_group_ids
        content {
          action_group_id = action.value
        }
      }

      alert_resolution {
        auto_resolved   = true
        time_to_resolve = "PT10M"
      }
    }
  }
}
