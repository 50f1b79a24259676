// Package settings holds the settings of a service against the JSON Schema that its
// plugin describes. It keeps nothing, reads no files and blocks nowhere.
package settings

import (
	"encoding/json"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// schemaURL names a plugin's schema in errors, and is where nothing can be loaded from.
const schemaURL = "plugin:settings"

// Check returns what is wrong with settings, or with the schema, as the rest of a
// sentence about them; empty when nothing is. Without a schema only {} will do, and no
// settings are {}.
func Check(settings, schema json.RawMessage) string {
	if len(settings) == 0 {
		settings = json.RawMessage("{}")
	}
	if len(schema) == 0 {
		schema = json.RawMessage(`{"type":"object","additionalProperties":false}`)
	}
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(string(schema)))
	if err != nil {
		return "cannot be checked, the plugin's schema is not JSON: " + err.Error()
	}
	c := jsonschema.NewCompiler()
	c.UseLoader(jsonschema.SchemeURLLoader{}) // a plugin's schema reads no files
	if err := c.AddResource(schemaURL, doc); err != nil {
		return "cannot be checked, the plugin's schema is unusable: " + oneLine(err.Error())
	}
	compiled, err := c.Compile(schemaURL)
	if err != nil {
		return "cannot be checked, the plugin's schema is unusable: " + oneLine(err.Error())
	}
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(string(settings)))
	if err != nil {
		return "are not JSON: " + err.Error()
	}
	if err := compiled.Validate(value); err != nil {
		return "do not fit the plugin's schema: " + oneLine(err.Error())
	}
	return ""
}

// oneLine folds a validator's report.
func oneLine(text string) string {
	lines := strings.Split(text, "\n")
	if len(lines) > 1 {
		lines = lines[1:] // the first only names the schema
	}
	for i, l := range lines {
		lines[i] = strings.TrimPrefix(strings.TrimSpace(l), "- ")
	}
	return strings.Join(lines, "; ")
}
