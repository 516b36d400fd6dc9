// Package querybuilder stands in for
// github.com/vito/dang/v2/pkg/querybuilder by aliases.
package querybuilder

import v1 "github.com/vito/dang/pkg/querybuilder"

var Query = v1.Query
