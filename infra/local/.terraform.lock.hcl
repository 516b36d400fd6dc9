# This file is maintained automatically by "terraform init".
# Manual edits may be lost in future updates.

provider "registry.terraform.io/gavinbunney/kubectl" {
  version     = "1.19.0"
  constraints = "1.19.0"
  hashes = [
    "h1:GeZufZ8Trj1/nOxjhV7aCS9s7dvQp1MEAC8SB8UcZwc=",
  ]
}
