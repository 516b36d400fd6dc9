// Command seed imports what the generated code of a Dagger module imports.
// Compiling it inside the Go SDK image fills that image's module and build
// caches, so that a module compiles only its own code. It does nothing.
package main

import (
	_ "context"
	_ "encoding/json"
	_ "errors"
	_ "fmt"
	_ "log/slog"
	_ "maps"
	_ "net"
	_ "net/http"
	_ "os"
	_ "path"
	_ "path/filepath"
	_ "reflect"
	_ "regexp"
	_ "slices"
	_ "sort"
	_ "strconv"
	_ "strings"
	_ "sync"
	_ "time"

	_ "dagger.io/dagger"
	_ "github.com/Khan/genqlient/graphql"
	_ "github.com/dagger/otel-go"
	_ "github.com/dagger/querybuilder"
	_ "github.com/vektah/gqlparser/v2/gqlerror"
	_ "go.opentelemetry.io/otel"
	_ "go.opentelemetry.io/otel/propagation"
	_ "go.opentelemetry.io/otel/sdk/resource"
	_ "go.opentelemetry.io/otel/semconv/v1.40.0"
	_ "go.opentelemetry.io/otel/trace"
	_ "golang.org/x/sync/errgroup"
)

func main() {}
