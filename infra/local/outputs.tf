output "namespaces" {
  description = "Each app's namespace."
  value       = { for app, manifest in kubectl_manifest.namespace : app => manifest.name }
}

output "projects" {
  description = "Each app's Argo CD project."
  value       = { for app, manifest in kubectl_manifest.project : app => manifest.name }
}
