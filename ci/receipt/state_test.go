package receipt_test

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/ci/config"
	"slipway/ci/drill"
	"slipway/ci/receipt"
	"slipway/ci/render"
	"slipway/ci/rules"
	"slipway/step"
	"slipway/step/result/argocd"
	"slipway/step/result/infra"
	"slipway/step/result/sign"
)

// TestWhatFunctionsHandOnSurvives: between two functions of the pipeline the engine keeps
// each private field as plain JSON, so nothing of its type may be lost in that.
func TestWhatFunctionsHandOnSurvives(t *testing.T) {
	var names []string
	for _, value := range []any{
		&rules.AppRescan{}, &config.Config{}, &render.Delta{}, &receipt.Document{}, &rules.Judgement{}, &infra.DriftReport{}, new(step.Reference), &rules.Revocation{},
		&drill.Result{}, &rules.Delivery{}, &receipt.Stage{}, &sign.Statement{}, &render.Status{}, &rules.Verdict{}, &argocd.Waited{},
	} {
		kind := reflect.TypeOf(value).Elem()
		names = append(names, kind.Name())
		fill(t, reflect.ValueOf(value).Elem(), 8)
		data, err := json.Marshal(value)
		require.NoError(t, err, kind)
		// As the engine does.
		var between any
		require.NoError(t, json.Unmarshal(data, &between))
		data, err = json.Marshal(between)
		require.NoError(t, err)
		again := reflect.New(kind)
		require.NoError(t, json.Unmarshal(data, again.Interface()), kind)
		assert.Equal(t, value, again.Interface())
	}

	file, err := parser.ParseFile(token.NewFileSet(), "../types.go", nil, parser.SkipObjectResolution)
	require.NoError(t, err)
	var handed []string
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.TypeSpec); ok {
			handed = append(handed, spec.Name.Name)
		}
		return true
	})
	slices.Sort(names)
	assert.Equal(t, handed, names, "each type is tried here")
}

// fill puts something into everything that a value has, so deep.
func fill(t *testing.T, v reflect.Value, depth int) {
	switch v.Interface().(type) {
	case time.Time:
		v.Set(reflect.ValueOf(time.Date(2026, 11, 28, 12, 0, 0, 5, time.UTC)))
		return
	case json.RawMessage:
		v.SetBytes([]byte(`{"a":[1,"b"]}`))
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString("<ü\u2028\">")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int32, reflect.Int64:
		v.SetInt(720 * 3600 * 1_000_000_000 % (1 << (v.Type().Bits() - 1)))
	case reflect.Uint64:
		v.SetUint(4711)
	case reflect.Float64:
		v.SetFloat(0.3)
	case reflect.Pointer:
		if depth < 0 {
			return // a type may hold one of its own
		}
		v.Set(reflect.New(v.Type().Elem()))
		fill(t, v.Elem(), depth-1)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for n := range v.Len() {
			fill(t, v.Index(n), depth-1)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		value := reflect.New(v.Type().Elem()).Elem()
		fill(t, value, depth-1)
		v.SetMapIndex(reflect.ValueOf("key").Convert(v.Type().Key()), value)
	case reflect.Struct:
		for n := range v.NumField() {
			require.True(t, v.Type().Field(n).IsExported(), "%s.%s is lost", v.Type(), v.Type().Field(n).Name)
			fill(t, v.Field(n), depth-1)
		}
	default:
		t.Fatalf("%s is nothing that JSON keeps", v.Type())
	}
}
