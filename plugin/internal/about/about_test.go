package about

import (
	"reflect"
	"testing"

	"github.com/antano/antano/shared"
)

func TestComplete(t *testing.T) {
	all := shared.Formats{shared.FormatJSON, shared.FormatMsgpack, shared.FormatText, shared.FormatBinary}
	d := Complete(shared.Description{ServiceType: "echo", Handler: true})
	if d.Version == "" {
		t.Error("no version")
	}
	d.Version = ""
	want := shared.Description{Name: "antano-service-echo", ServiceType: "echo", Handler: true, Transport: shared.TransportNone, FormatsIn: all, FormatsOut: all}
	if !reflect.DeepEqual(d, want) {
		t.Errorf("%+v, want %+v", d, want)
	}
	said := shared.Description{
		Name: "n", Version: "v", ServiceType: "t", CanSend: true, Transport: shared.TransportTCP,
		FormatsIn: shared.Formats{shared.FormatText}, FormatsOut: shared.Formats{shared.FormatBinary},
	}
	if d := Complete(said); !reflect.DeepEqual(d, said) {
		t.Errorf("%+v became %+v", said, d)
	}
}

func TestCheck(t *testing.T) {
	good := Complete(shared.Description{ServiceType: "echo", Settings: []byte(`{"type":"object"}`)})
	if err := Check(good); err != nil {
		t.Error(err)
	}
	for name, spoil := range map[string]func(*shared.Description){
		"type":      func(d *shared.Description) { d.ServiceType = "Echo" },
		"transport": func(d *shared.Description) { d.Transport = "pigeon" },
		"format":    func(d *shared.Description) { d.FormatsIn = shared.Formats{1, 1} },
		"schema":    func(d *shared.Description) { d.Settings = []byte("[]") },
	} {
		bad := good
		spoil(&bad)
		if Check(bad) == nil {
			t.Errorf("a wrong %s is not found", name)
		}
	}
}
