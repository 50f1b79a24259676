package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/pluginpb"
)

// raw passes messages as they are.
type raw struct{}

func (raw) Marshal(v any) ([]byte, error) { return *v.(*[]byte), nil }
func (raw) Unmarshal(data []byte, v any) error {
	*v.(*[]byte) = append([]byte{}, data...)
	return nil
}
func (raw) Name() string { return "proto" }

// serve is the control plane as the manager sees it.
func (b *bent) serve() error {
	fields := strings.Split(strings.TrimSpace(b.line), "|")
	behind, err := grpc.NewClient("unix:"+fields[3], grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.ForceCodec(raw{}), grpc.MaxCallRecvMsgSize(16<<20), grpc.MaxCallSendMsgSize(16<<20)))
	if err != nil {
		return err
	}
	path := filepath.Join(os.Getenv("PLUGIN_UNIX_SOCKET_DIR"), "plugin-bent")
	l, err := net.Listen("unix", path)
	if err != nil {
		return err
	}
	limit := 16 << 20
	if b.is("small-requests") {
		limit = 4 << 20
	}
	s := grpc.NewServer(grpc.ForceServerCodec(raw{}), grpc.MaxRecvMsgSize(limit), grpc.MaxSendMsgSize(16<<20),
		grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error { return b.forward(behind, stream) }))
	go s.Serve(l)
	if fields[3] = path; b.is("first-version") {
		fields[1], _, _ = strings.Cut(os.Getenv("PLUGIN_PROTOCOL_VERSIONS"), ",")
	}
	fmt.Println(strings.Join(fields, "|"))
	return nil
}

// forward passes a call with one request on.
func (b *bent) forward(behind *grpc.ClientConn, stream grpc.ServerStream) error {
	method, _ := grpc.MethodFromServerStream(stream)
	if strings.Contains(method, "GRPCBroker") {
		return status.Error(codes.Unimplemented, "not used")
	}
	var request []byte
	if err := stream.RecvMsg(&request); err != nil {
		return err
	}
	name := filepath.Base(method)
	request, done, err := b.request(name, request)
	if done || err != nil {
		empty := []byte{}
		return errors.Join(err, stream.SendMsg(&empty))
	}
	ctx, cancel := context.WithCancel(stream.Context())
	defer cancel()
	call, err := behind.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, method)
	if err != nil {
		return err
	}
	if err := errors.Join(call.SendMsg(&request), call.CloseSend()); err != nil {
		return err
	}
	for {
		var answer []byte
		if err := call.RecvMsg(&answer); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if answer = b.answer(name, answer); answer == nil {
			continue
		}
		if err := stream.SendMsg(&answer); err != nil {
			return err
		}
	}
}

// request bends what the manager asks; done is answered without the real plugin.
func (b *bent) request(method string, request []byte) (_ []byte, done bool, err error) {
	switch method {
	case "Start":
		return b.start(request)
	case "Shutdown":
		return request, b.is("stays"), nil
	case "Drain":
		b.drained.Store(true)
		switch {
		case b.is("drains-early"):
			return request, true, nil
		case b.is("drains-late"):
			request, err = proto.Marshal(&pluginpb.DrainRequest{DeadlineNs: int64(time.Hour)})
		}
	case "Stop":
		b.stopped.Store(true)
	}
	return request, false, err
}

func (b *bent) start(request []byte) (_ []byte, done bool, err error) {
	var s pluginpb.StartRequest
	if err := proto.Unmarshal(request, &s); err != nil {
		return nil, false, err
	}
	b.relay, b.frames.service = s.GetRelaySocket(), s.GetServiceId()
	b.generation.Store(s.GetGeneration())
	if s.RelaySocket, err = b.proxy(); err != nil {
		return nil, false, err
	}
	if err := change(&s, b.params); err != nil {
		return nil, false, err
	}
	switch window := time.Duration(s.AdoptionWindowNs); {
	case b.is("immortal") && window == 0:
		s.AdoptionWindowNs = int64(time.Hour)
	case b.is("mortal") && window < time.Minute:
		s.AdoptionWindowNs = 0
	}
	request, err = proto.Marshal(&s)
	if b.is("hasty") {
		go b.startLater(request)
		<-b.greeted
		return request, true, err
	}
	return request, false, err
}

// params bends the params.
func (b *bent) params(keys map[string]any) {
	if b.is("lenient") {
		delete(keys, "no_such_key")
	}
	if b.is("generous") {
		keys["limits"].(map[string]any)["max_message_bytes"] = 1 << 20
	}
	if b.is("forwards") {
		keys["forward_to"] = shared.Address{Entity: "room", ID: 1}
	}
}

// change changes keys of the params.
func change(s *pluginpb.StartRequest, bend func(map[string]any)) error {
	var keys map[string]any
	if err := json.Unmarshal(s.Params, &keys); err != nil {
		return err
	}
	bend(keys)
	var err error
	s.Params, err = json.Marshal(keys)
	return err
}

// startLater starts the real plugin after the manager was told that it is.
func (b *bent) startLater(request []byte) {
	cc, err := grpc.NewClient("unix:"+strings.Split(b.line, "|")[3], grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return
	}
	defer cc.Close()
	var answer []byte
	_ = cc.Invoke(context.Background(), pluginpb.Plugin_Start_FullMethodName, &request, &answer, grpc.ForceCodec(raw{}))
}

// answer bends what the real plugin says; nil drops it.
func (b *bent) answer(method string, answer []byte) []byte {
	switch {
	case method == "Describe":
		return b.describe(answer)
	case method == "Check" && b.is("not-serving"):
		answer, _ = proto.Marshal(&grpc_health_v1.HealthCheckResponse{Status: grpc_health_v1.HealthCheckResponse_NOT_SERVING})
	case method == "Clients" && b.is("lists-nobody"):
		return nil
	}
	return answer
}

func (b *bent) describe(answer []byte) []byte {
	var d pluginpb.DescribeResponse
	if err := proto.Unmarshal(answer, &d); err != nil {
		return answer
	}
	n := b.describes.Add(1)
	switch {
	case b.is("fickle"):
		d.Version = fmt.Sprint(n)
	case b.is("nameless"):
		d.Name = ""
	case b.is("other-type"):
		d.ServiceType = "other"
	case b.is("bad-schema"):
		d.SettingsSchema = []byte(`{"type":5}`)
	case b.is("boasts"):
		d.Handler = true
	}
	d.Handover = b.is("abandons") // what moves would come with is not passed on here
	answer, _ = proto.Marshal(&d)
	return answer
}
