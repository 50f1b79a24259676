package plugin

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// DecodeSettings reads the service's settings into v, a pointer to a struct. What they do
// not name keeps its value in v, which so is its default. A key that v has no field for,
// and a value of another type, is a ConfigError, for Start to return. The manager has
// checked the settings against Description.Settings before. Source: docs/params.md.
func DecodeSettings(host Host, v any) error {
	settings := host.Params().Settings
	if len(settings) == 0 {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(settings))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return ConfigError(fmt.Errorf("settings: %w", err))
	}
	return nil
}
