terraform {
  required_version = ">= 1.9, < 2.0"

  required_providers {
    kubectl = {
      source  = "registry.terraform.io/gavinbunney/kubectl"
      version = "1.19.0"
    }
  }

  # Where the state lives is said by the run, never by the code.
  backend "http" {}
}

provider "kubectl" {
  # null leaves it to the provider's environment: KUBE_CONFIG_PATH.
  config_path = var.kubeconfig
}
