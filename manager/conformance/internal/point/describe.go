package point

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/antano/antano/manager/conformance/internal/rig"
	"github.com/antano/antano/manager/internal/settings"
	"github.com/antano/antano/shared"
)

// describe asks twice, of a process that has no sockets.
func describe(t *trial) (string, error) {
	r, err := t.rig(nil)
	if err != nil {
		return "", err
	}
	p, err := r.Launch(t.ctx, rig.Bare())
	if err != nil {
		return "", err
	}
	d, err := p.Describe(t.ctx)
	if err != nil {
		return "", err
	}
	again, err := p.Describe(t.ctx)
	switch {
	case err != nil:
		return "", fmt.Errorf("the second Describe: %w", err)
	case !reflect.DeepEqual(d, again):
		return "", errors.New("two calls of Describe have different answers; they are remembered by the checksum of the file")
	case d.ServiceType != t.Type:
		return "", fmt.Errorf("it describes itself as service type %q; name its file %s%s", d.ServiceType, shared.PluginPrefix, d.ServiceType)
	case r.Manager.Waiting():
		return "", errors.New("it dialled before it was started; Describe opens nothing")
	}
	t.Description = d
	return fmt.Sprintf("%s %s: type %s on %s, handler %t, can_send %t, handover %t", d.Name, d.Version, d.ServiceType, d.Transport, d.Handler, d.CanSend, d.Handover), nil
}

func describedSettings(t *trial) string {
	if len(t.Params.Settings) == 0 {
		return "{}"
	}
	return string(t.Params.Settings)
}

// checkSettings holds the settings against the schema, as a server does with params.
func checkSettings(t *trial) (string, error) {
	if text := settings.Check(t.Params.Settings, t.Description.Settings); text != "" {
		return "", fmt.Errorf("the settings %.200s %s; change them (--settings), or the schema", describedSettings(t), text)
	}
	return fmt.Sprintf("its schema accepts %.200s", describedSettings(t)), nil
}
