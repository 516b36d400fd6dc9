# The network that a cluster's nodes are in. Pods have addresses of their own
# (overlay), so the subnet is only as large as there may be nodes.

resource "azurerm_virtual_network" "this" {
  name                = "${var.name}-vnet"
  resource_group_name = var.resource_group_name
  location            = var.location
  address_space       = [var.address_space]
  tags                = var.tags

  # Here and not a resource of its own: the network would be drifted by it.
  subnet {
    name             = "nodes"
    address_prefixes = [cidrsubnet(var.address_space, 24 - tonumber(split("/", var.address_space)[1]), 0)]
  }
}
