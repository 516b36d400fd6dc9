output "id" {
  description = "The cluster."
  value       = azurerm_kubernetes_cluster.this.id
}

output "name" {
  description = "The cluster's name."
  value       = azurerm_kubernetes_cluster.this.name
}

output "server" {
  description = "The Kubernetes API's URL, as kubeconfigs name it."
  value = format("https://%s:443", coalesce(
    azurerm_kubernetes_cluster.this.private_cluster_enabled ? azurerm_kubernetes_cluster.this.private_fqdn : azurerm_kubernetes_cluster.this.fqdn,
    azurerm_kubernetes_cluster.this.fqdn,
  ))
}

output "oidc_issuer_url" {
  description = "Who issues the tokens of pods: the issuer of their federated credentials."
  value       = azurerm_kubernetes_cluster.this.oidc_issuer_url
}

output "kubelet_principal_id" {
  description = "The identity that pulls images."
  value       = one(azurerm_kubernetes_cluster.this.kubelet_identity[*].object_id)
}
