terraform {
  required_version = ">= 1.9, < 2.0"

  backend "http" {}
}

variable "environment" {
  description = "Name of the environment."
  type        = string
  nullable    = false
}

resource "terraform_data" "kept" {
  input = var.environment
}
