# A cluster as tutorials have it. It is to be refused, and each refusal has to say
# what to mend: the test does what it says until nothing is left.
resource "azurerm_kubernetes_cluster" "aks" {
  name                = "secure-aks"
  resource_group_name = "platform"

  default_node_pool {
    name                 = "system"
    vm_size              = "Standard_D4ds_v5"
    auto_scaling_enabled = true
    min_count            = 2
    max_count            = 10
  }

  identity {
    type = "SystemAssigned"
  }
}
