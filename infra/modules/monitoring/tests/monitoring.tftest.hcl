# OpenTofu makes up what only Azure knows as early as in the plan; the provider wants
# IDs in it to be such.
mock_provider "azurerm" {
  mock_resource "azurerm_monitor_workspace" {
    defaults = {
      id                              = "/subscriptions/00000000-0000-4000-8000-000000000002/resourceGroups/acme-dev/providers/Microsoft.Monitor/accounts/acme-dev-metrics"
      default_data_collection_rule_id = "/subscriptions/00000000-0000-4000-8000-000000000002/resourceGroups/acme-dev/providers/Microsoft.Insights/dataCollectionRules/acme-dev-metrics"
    }
  }
}

variables {
  name                = "acme-dev"
  resource_group_name = "acme-dev"
  location            = "westeurope"
  cluster_id          = "/subscriptions/00000000-0000-4000-8000-000000000002/resourceGroups/acme-dev/providers/Microsoft.ContainerService/managedClusters/acme-dev-aks"
  cluster_name        = "acme-dev-aks"
}

run "every_rule_of_the_file" {
  command = plan

  assert {
    condition = alltrue([
      for group in yamldecode(file("${path.module}/alerts.yaml")).groups :
      [for rule in group.rules : rule.alert] == [for rule in azurerm_monitor_alert_prometheus_rule_group.this[group.name].rule : rule.alert]
    ])
    error_message = "Each group has its rules, in their order."
  }

  assert {
    condition = alltrue(flatten([
      for group in azurerm_monitor_alert_prometheus_rule_group.this : [
        for rule in group.rule : rule.enabled && contains([1, 2], rule.severity) && rule.alert_resolution[0].auto_resolved
      ]
    ]))
    error_message = "Each rule is on, has a severity, and ends by itself."
  }

  assert {
    condition = (
      azurerm_monitor_alert_prometheus_rule_group.this["argocd"].interval == "PT1M" &&
      azurerm_monitor_alert_prometheus_rule_group.this["argocd"].rule[0].for == "PT5M" &&
      azurerm_monitor_alert_prometheus_rule_group.this["argocd"].rule[0].severity == 1 &&
      one([for rule in azurerm_monitor_alert_prometheus_rule_group.this["kyverno"].rule : rule.for if rule.alert == "KyvernoRefuses"]) == "PT0M"
    )
    error_message = "Times and severities are Azure's words for the file's."
  }

  assert {
    condition     = azurerm_monitor_data_collection_rule_association.this.target_resource_id == var.cluster_id
    error_message = "The cluster's metrics are what is read."
  }
}

run "nobody_is_told_unless_said" {
  command = plan

  assert {
    condition     = alltrue(flatten([for group in azurerm_monitor_alert_prometheus_rule_group.this : [for rule in group.rule : length(rule.action) == 0]]))
    error_message = "Without an action group there is no action."
  }
}

run "told" {
  command = plan

  variables {
    action_group_ids = ["/subscriptions/00000000-0000-4000-8000-000000000002/resourceGroups/acme-dev/providers/Microsoft.Insights/actionGroups/on-call"]
  }

  assert {
    condition     = alltrue(flatten([for group in azurerm_monitor_alert_prometheus_rule_group.this : [for rule in group.rule : rule.action[*].action_group_id == var.action_group_ids]]))
    error_message = "Every alert is sent to the action group."
  }
}

run "a_name_is_no_action_group" {
  command = plan

  variables {
    action_group_ids = ["on-call"]
  }

  expect_failures = [var.action_group_ids]
}
