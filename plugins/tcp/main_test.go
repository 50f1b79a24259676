package main

import (
	"testing"

	"github.com/antano/antano/shared"
)

func TestDescription(t *testing.T) {
	d := service().Describe()
	if d.ServiceType != "tcp" || d.Name != shared.PluginPrefix+d.ServiceType || d.Transport != shared.TransportTCP {
		t.Errorf("describes itself as %+v", d)
	}
	if !d.CanSend || d.Handler || !d.Handover || d.Settings != nil || d.Version == "" {
		t.Errorf("promises %+v", d)
	}
	for _, formats := range [][]shared.FormatID{d.FormatsIn, d.FormatsOut} {
		if len(formats) != 4 {
			t.Errorf("formats %v, want the four built-in ones", formats)
		}
	}
}
