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

# Which cluster, and as whom, is said by the run: KUBE_CONFIG_PATH.
provider "kubectl" {}
