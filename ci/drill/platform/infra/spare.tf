resource "terraform_data" "spare" {
  input = var.environment
}
