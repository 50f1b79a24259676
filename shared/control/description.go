package control

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/pluginpb"
)

// Bounds of a description. A settings schema is text that people write.
const (
	maxNameBytes    = 128
	maxFormats      = 255
	maxSchemaBytes  = 1 << 20
	maxTypeNameSize = 64
)

// FromDescription makes the answer to Describe.
func FromDescription(d shared.Description) *pluginpb.DescribeResponse {
	return &pluginpb.DescribeResponse{
		Name:           d.Name,
		Version:        d.Version,
		ServiceType:    d.ServiceType,
		CanSend:        d.CanSend,
		Handler:        d.Handler,
		Handover:       d.Handover,
		Transport:      string(d.Transport),
		FormatsIn:      formatsToProto(d.FormatsIn),
		FormatsOut:     formatsToProto(d.FormatsOut),
		SettingsSchema: bytes.Clone(d.Settings),
	}
}

// ToDescription reads the answer to Describe. What it returns has a name, a
// service type that can be a file name's suffix, a known transport, at least one
// format in each direction, none twice, and a settings schema that is a JSON object
// or nil.
func ToDescription(r *pluginpb.DescribeResponse) (shared.Description, error) {
	d := shared.Description{
		Name:        r.GetName(),
		Version:     r.GetVersion(),
		ServiceType: r.GetServiceType(),
		CanSend:     r.GetCanSend(),
		Handler:     r.GetHandler(),
		Handover:    r.GetHandover(),
		Transport:   shared.Transport(r.GetTransport()),
	}
	var err error
	if d.FormatsIn, err = formatsFromProto("formats_in", r.GetFormatsIn()); err != nil {
		return shared.Description{}, err
	}
	if d.FormatsOut, err = formatsFromProto("formats_out", r.GetFormatsOut()); err != nil {
		return shared.Description{}, err
	}
	if d.Settings, err = schemaFromProto(r.GetSettingsSchema()); err != nil {
		return shared.Description{}, err
	}
	if err := checkDescription(d); err != nil {
		return shared.Description{}, err
	}
	return d, nil
}

// ValidServiceType reports whether name can be a service type: lower case letters,
// digits, '-' and '_', a letter first, at most 64 bytes, because it is the suffix of
// the plugin's file name.
func ValidServiceType(name string) bool {
	if name == "" || len(name) > maxTypeNameSize || name[0] < 'a' || name[0] > 'z' {
		return false
	}
	return strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-_") == ""
}

func checkDescription(d shared.Description) error {
	switch {
	case !printable(d.Name, maxNameBytes):
		return fmt.Errorf("describe: name %.40q must be 1 to %d printable bytes", d.Name, maxNameBytes)
	case d.Version != "" && !printable(d.Version, maxNameBytes):
		return fmt.Errorf("describe: version %.40q must be at most %d printable bytes", d.Version, maxNameBytes)
	case !ValidServiceType(d.ServiceType):
		return fmt.Errorf("describe: service_type %.80q must be a-z, 0-9, '-' or '_', a letter first, at most %d bytes", d.ServiceType, maxTypeNameSize)
	}
	switch d.Transport {
	case shared.TransportNone, shared.TransportTCP, shared.TransportUDP, shared.TransportUnix:
		return nil
	}
	return fmt.Errorf("describe: transport %.40q must be none, tcp, udp or unix", d.Transport)
}

func schemaFromProto(b []byte) (json.RawMessage, error) {
	if len(b) == 0 {
		return nil, nil
	}
	if len(b) > maxSchemaBytes {
		return nil, fmt.Errorf("describe: settings_schema has %d bytes, at most %d are allowed", len(b), maxSchemaBytes)
	}
	if !isJSONObject(b) {
		return nil, fmt.Errorf("describe: settings_schema is not a JSON object: %.40q", b)
	}
	return bytes.Clone(b), nil
}

func formatsToProto(ids []shared.FormatID) []uint32 {
	out := make([]uint32, len(ids))
	for i, id := range ids {
		out[i] = uint32(id)
	}
	return out
}

func formatsFromProto(key string, in []uint32) ([]shared.FormatID, error) {
	if len(in) == 0 || len(in) > maxFormats {
		return nil, fmt.Errorf("describe: %s lists %d formats, 1 to %d are allowed", key, len(in), maxFormats)
	}
	var seen [256]bool
	out := make([]shared.FormatID, len(in))
	for i, id := range in {
		if id == 0 || id > 255 {
			return nil, fmt.Errorf("describe: %s has format id %d, ids are 1 to 255", key, id)
		}
		if seen[id] {
			return nil, fmt.Errorf("describe: %s lists format id %d twice", key, id)
		}
		seen[id] = true
		out[i] = shared.FormatID(id)
	}
	return out, nil
}
