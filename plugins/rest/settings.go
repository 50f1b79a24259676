package main

import (
	"fmt"
	"time"

	"github.com/antano/antano/plugin"
	"github.com/antano/antano/plugin/web"
)

const schema = `{
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "allowed_origins": ` + web.OriginsSchema + `,
    "keep_alive": {"type": "integer", "minimum": 0, "maximum": 3600, "default": 15}
  }
}`

// settings are the row's settings, as used.
type settings struct {
	origins   web.Origins
	keepAlive time.Duration // of a silent stream; 0: never
}

func settingsOf(host plugin.Host) (settings, error) {
	given := struct {
		Origins   []string `json:"allowed_origins"`
		KeepAlive int      `json:"keep_alive"` // seconds
	}{KeepAlive: 15}
	if err := plugin.DecodeSettings(host, &given); err != nil {
		return settings{}, err
	}
	origins, err := web.ParseOrigins(given.Origins)
	if err != nil {
		return settings{}, plugin.ConfigError(fmt.Errorf("settings.allowed_origins: %w", err))
	}
	return settings{origins, time.Duration(given.KeepAlive) * time.Second}, nil
}
