output "namespace" {
  description = "Name of the environment's namespace."
  value       = terraform_data.namespace.output.name
}

output "labels" {
  description = "Labels of the environment's namespace."
  value       = terraform_data.namespace.output.labels
}

output "quota" {
  description = "What the environment's namespace may use in all."
  value       = terraform_data.quota.output
}
