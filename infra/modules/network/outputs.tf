output "nodes_subnet_id" {
  description = "The subnet of the nodes."
  value       = one(azurerm_virtual_network.this.subnet[*].id)
}
