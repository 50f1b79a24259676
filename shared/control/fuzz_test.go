package control

import (
	"reflect"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/antano/antano/shared/pluginpb"
)

// FuzzDescription: whatever arrives, what is accepted survives a round trip.
func FuzzDescription(f *testing.F) {
	seed, err := proto.Marshal(FromDescription(sampleDescription()))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Fuzz(func(t *testing.T, b []byte) {
		var r pluginpb.DescribeResponse
		if proto.Unmarshal(b, &r) != nil {
			return
		}
		d, err := ToDescription(&r)
		if err != nil {
			return
		}
		again, err := ToDescription(FromDescription(d))
		if err != nil || !reflect.DeepEqual(again, d) {
			t.Errorf("%+v became %+v, %v", d, again, err)
		}
	})
}

// FuzzStart: whatever arrives, what is accepted can be sent on and is accepted
// again as the same.
func FuzzStart(f *testing.F) {
	r, err := FromStart(sampleStart())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(r.GetParams(), r.GetRelaySocket(), r.GetServiceId(), r.GetProcessId(), r.GetPushBackNs())
	f.Fuzz(func(t *testing.T, params []byte, socket string, service int64, process uint32, pushBack int64) {
		r := proto.Clone(r).(*pluginpb.StartRequest)
		r.Params, r.RelaySocket, r.ServiceId, r.ProcessId, r.PushBackNs = params, socket, service, process, pushBack
		s, err := ToStart(r)
		if err != nil {
			return
		}
		r2, err := FromStart(s)
		if err != nil {
			t.Fatalf("accepted but cannot be encoded: %v", err)
		}
		again, err := ToStart(r2)
		if err != nil {
			t.Fatalf("accepted once, then: %v", err)
		}
		s.Params.Settings, again.Params.Settings = nil, nil // encoding compacts them
		if !reflect.DeepEqual(again, s) {
			t.Errorf("%+v became %+v", s, again)
		}
	})
}
