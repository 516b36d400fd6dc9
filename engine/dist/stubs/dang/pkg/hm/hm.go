// Package hm stands in for github.com/vito/dang/v2/pkg/hm by aliases.
package hm

import v1 "github.com/vito/dang/pkg/hm"

type (
	FunctionType = v1.FunctionType
	NonNullType  = v1.NonNullType
	Type         = v1.Type
)
