package terraform

import (
	"regexp"
	"strings"

	tfjson "github.com/hashicorp/terraform-json"

	"slipway/step"
)

// mends says how an error of the code is mended. Its expression matches the
// diagnostic's summary and detail, "summary: detail" on one line; the mend may take
// its groups. The first one that matches counts.
//
// The words are those of Terraform and OpenTofu, the last two of the library that
// providers are written with.
var mends = []struct {
	words *regexp.Regexp
	mend  string
}{
	{regexp.MustCompile(`\AMissing required argument: The argument "([^"]+)" is required`), "add the argument $1, which this version of the provider wants"},
	{regexp.MustCompile(`\AInsufficient \S+ blocks: At least (\d+) "([^"]+)" blocks? (?:is|are) required`), "add a block $2, of which this version of the provider wants $1 or more"},
	{regexp.MustCompile(`\A(?:Too many|Duplicate) (\S+) blocks?:`), "keep one block $1"},
	{regexp.MustCompile(`\AUnsupported argument: .* Did you mean to define a block of type "([^"]+)"`), "write $1 as a block: without the equals sign"},
	{regexp.MustCompile(`\AUnsupported argument: An argument named "([^"]+)" is not expected here\. Did you mean "([^"]+)"`), "write $2 in the place of $1"},
	{regexp.MustCompile(`\AUnsupported argument: An argument named "([^"]+)"`), "take $1 out, or write it as this version of the provider calls it"},
	{regexp.MustCompile(`\AUnsupported block type: .* Did you mean to define argument "([^"]+)"`), "write $1 as an argument: with an equals sign"},
	{regexp.MustCompile(`\AUnsupported block type: Blocks of type "([^"]+)" are not expected here\. Did you mean "([^"]+)"`), "write $2 in the place of $1"},
	{regexp.MustCompile(`\AUnsupported block type: Blocks of type "([^"]+)"`), "take the block $1 out, or write it as this version of the provider calls it"},
	{regexp.MustCompile(`\AUnsupported attribute: `), "name an attribute that it has"},
	{regexp.MustCompile(`\AIncorrect attribute value type: Inappropriate value for attribute "([^"]+)": ([^.]+)`), "give $1 another value: $2"},
	{regexp.MustCompile(`\AInvalid (resource type|data source): `), "take a $1 of the provider's locked version"},
	{regexp.MustCompile(`\AReference to undeclared (input variable|local value|module|resource|output value): `), "declare the $1, or mend its name"},
	{regexp.MustCompile(`\AMissing resource instance key: `), "say which instance is meant, such as [0]"},
	{regexp.MustCompile(`\A(?:Invalid combination of arguments|Missing required argument): .*one of .([a-z0-9_, ]+). must be specified`), "give one of $1"},
	{regexp.MustCompile(`\A(?:Conflicting configuration arguments|Invalid combination of arguments): "([^"]+)": .*(?:conflicts with|only one of) .?([a-z0-9_., ]+)`), "keep one of $1 and $2"},
}

// mend is what to do about one error of the code.
func mend(d tfjson.Diagnostic) string {
	if d.Range != nil && d.Range.Filename == lockFile {
		return lockMend
	}
	text := oneLine(d.Summary)
	if d.Detail != "" {
		text += ": " + oneLine(d.Detail)
	}
	for _, m := range mends {
		if at := m.words.FindStringSubmatchIndex(text); at != nil {
			return strings.TrimSpace(string(m.words.ExpandString(nil, m.mend, text, at)))
		}
	}
	return "write what it asks for"
}

// codeFault is an input Fault about the code, with a line for each error that says
// where it is, what is wrong and how to mend it.
func codeFault(stage, otherwise string, errs []tfjson.Diagnostic) *step.Fault {
	errs = placed(errs)
	details := make([]string, len(errs))
	for i, d := range errs {
		details[i] = step.Detail(line(d), mend(d))
	}
	how := "mend each as its line says"
	if len(errs) == 1 {
		how = mend(errs[0])
	}
	return step.Input(stage, at(errs[0], otherwise), summary(errs[0]), how, details...)
}

// placed are the errors that point at a place in the code, each once. Terraform
// announces some with one that doesn't, and loads a broken file twice; without any
// that does, they are all there is.
func placed(errs []tfjson.Diagnostic) []tfjson.Diagnostic {
	var list []tfjson.Diagnostic
	seen := map[string]bool{}
	for _, d := range errs {
		if d.Range != nil && !seen[line(d)] {
			seen[line(d)] = true
			list = append(list, d)
		}
	}
	if list == nil {
		return errs
	}
	return list
}
