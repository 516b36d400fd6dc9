# This file is maintained automatically by "terraform init".
# Manual edits may be lost in future updates.

provider "registry.terraform.io/gavinbunney/kubectl" {
  version     = "1.19.0"
  constraints = "1.19.0"
  hashes = [
    "h1:KLkias0/gdhrq5EcdFZ6o1QD4dhSB5x2XHBQb2MoNss=",
  ]
}
