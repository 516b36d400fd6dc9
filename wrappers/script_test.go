package wrappers

import (
	"strings"

	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/syntax"

	"slipway/step"
)

// Call is the one call of dagger that a script of a shell consists of, as the shell
// would give it to the program: variables are replaced, and split where they are not
// quoted. Anything else of a shell is refused, and so is a variable that is unknown.
func Call(script string, variable func(name string) (string, bool)) ([]string, error) {
	refuse := func(reason, mend string) ([]string, error) {
		return nil, step.Input(stage, "script "+strings.TrimSpace(script), reason, mend)
	}
	const mend = "write one call of dagger, with words, quotes and variables alone"
	file, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(strings.NewReader(script), "")
	if err != nil {
		return refuse(err.Error(), mend)
	}
	if len(file.Stmts) != 1 {
		return refuse("is not one command", mend)
	}
	statement := file.Stmts[0]
	command, ok := statement.Cmd.(*syntax.CallExpr)
	if !ok || len(statement.Redirs) > 0 || statement.Negated || statement.Background {
		return refuse("is more than a command with its arguments", mend)
	}
	foreign, unknown, env := false, "", map[string]string{"IFS": " \t\n"}
	syntax.Walk(command, func(node syntax.Node) bool {
		switch part := node.(type) {
		case nil, *syntax.CallExpr, *syntax.Word, *syntax.Lit, *syntax.SglQuoted, *syntax.DblQuoted:
		case *syntax.ParamExp:
			if !part.Short {
				foreign = true
			} else if value, ok := variable(part.Param.Value); ok {
				env[part.Param.Value] = value
			} else {
				unknown = part.Param.Value
			}
		default:
			foreign = true
		}
		return true
	})
	switch {
	case foreign:
		return refuse("is more than a command with its arguments", mend)
	case unknown != "":
		return refuse("uses the variable "+unknown+", which nothing sets", "set it from a variable of the CI system, or leave it out")
	}
	argv, err := expand.Fields(&expand.Config{Env: expand.FuncEnviron(func(name string) string { return env[name] })}, command.Args...)
	if err != nil {
		return refuse(err.Error(), mend)
	}
	if len(argv) == 0 || argv[0] != "dagger" {
		return refuse("calls another program than dagger", mend)
	}
	return argv, nil
}
