package plugin_test

import (
	"context"
	"encoding/json"
	"time"

	"github.com/antano/antano/plugin"
	"github.com/antano/antano/shared"
)

// clockSchema is checked by antano before Start, in `antano validate` too.
const clockSchema = `{
  "type": "object",
  "additionalProperties": false,
  "properties": {"layout": {"type": "string", "minLength": 1, "default": "15:04"}}
}`

// clock answers with the time, in the layout that its settings name.
type clock struct {
	host     plugin.Host
	settings struct {
		Layout string `json:"layout"`
	}
}

func (c *clock) Describe() shared.Description {
	return shared.Description{ServiceType: "clock", Handler: true, Settings: json.RawMessage(clockSchema)}
}

func (c *clock) Start(_ context.Context, host plugin.Host) error {
	c.host = host
	c.settings.Layout = "15:04" // the default
	if err := plugin.DecodeSettings(host, &c.settings); err != nil {
		return err
	}
	host.Logger().Info("the clock runs", "layout", c.settings.Layout)
	return nil
}

func (c *clock) Stop(context.Context) error { return nil }

func (c *clock) OnReceivedMessage(_ context.Context, m *shared.Message) (any, error) {
	c.host.Count("questions", 1) // shown by antano status --json
	return time.Now().Format(c.settings.Layout), nil
}

// Settings with a schema and a default, and a counter of one's own.
func Example_settings() {
	plugin.Serve(&clock{})
}
