output "nodes_subnet_id" {
  description = "The subnet of the nodes."
  value       = azurerm_subnet.nodes.id
}
