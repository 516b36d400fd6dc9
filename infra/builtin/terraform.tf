terraform {
  required_version = ">= 1.9, < 2.0"

  # Where the state lives is said by the run, never by the code.
  backend "http" {}
}
