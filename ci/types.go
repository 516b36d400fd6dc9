package main

import (
	"slipway/ci/config"
)

// Dagger's code generator writes a private field's type by its bare name. So those of
// plain packages have that name here, too.
type (
	Config = config.Config
)
