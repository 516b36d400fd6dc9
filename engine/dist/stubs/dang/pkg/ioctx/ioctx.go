// Package ioctx stands in for github.com/vito/dang/v2/pkg/ioctx by aliases.
package ioctx

import v1 "github.com/vito/dang/pkg/ioctx"

var (
	StderrToContext = v1.StderrToContext
	StdoutToContext = v1.StdoutToContext
)
