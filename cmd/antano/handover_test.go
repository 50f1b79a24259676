package main_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

// keeper is a client that asks without a pause until it is told to end, and checks that
// it is answered once, in order, on one connection.
type keeper struct {
	*client
	id    string
	stop  chan struct{}
	asked int
	worst time.Duration
}

func keep(t *testing.T, network, address string, group int) *keeper {
	t.Helper()
	k := &keeper{client: dial(t, network, address), stop: make(chan struct{})}
	k.id = k.whoami()
	k.ask(fmt.Sprintf(`{"type":"join","entity":"room","entity_id":%d}`, group)).want(t, "type", "joined")
	return k
}

// run asks the client's own group, so that every round has a message and a receipt.
func (k *keeper) run(group int) error {
	for ; ; k.asked++ {
		select {
		case <-k.stop:
			return nil
		default:
		}
		began := time.Now()
		if _, err := fmt.Fprintf(k.conn, `{"entity":"room","entity_id":%d,"message":%d,"id":%d}`+"\n", group, k.asked, k.asked); err != nil {
			return err
		}
		for range 2 {
			o := k.receive()
			if o["type"] == "message" && fmt.Sprint(o["message"]) == fmt.Sprint(k.asked) {
				continue
			}
			if o["type"] != "receipt" || fmt.Sprint(o["id"]) != fmt.Sprint(k.asked) || fmt.Sprint(o["delivered"]) != "1" {
				return fmt.Errorf("message %d was answered %v", k.asked, o)
			}
		}
		k.worst = max(k.worst, time.Since(began))
	}
}

// TestClientsStayConnected has clients of tcp and unix talk all the time while their
// processes are restarted, scaled and stopped: connections, ids, groups and order stay.
func TestClientsStayConnected(t *testing.T) {
	s := start(t, `
active_service:
  - {id: 2, service_type: tcp, name: chat, host: 127.0.0.1, port: 0, processes: 2}
  - {id: 3, service_type: unix, name: path, socket_type: stream, endpoint: RUNTIME/path.sock, processes: 2}
`)
	var keepers []*keeper
	for i := range 6 {
		keepers = append(keepers, keep(t, "tcp", s.service("chat").Address, 2*i), keep(t, "unix", s.service("path").Address, 2*i+1))
	}
	var running sync.WaitGroup
	for i, k := range keepers {
		running.Go(func() {
			if err := k.run(i); err != nil {
				t.Errorf("client %s after %d messages: %v", k.id, k.asked, err)
			}
		})
	}
	defer running.Wait()
	for _, args := range [][]string{{"restart", "chat"}, {"restart", "path/4"}, {"scale", "chat=1"}, {"scale", "chat=3"}, {"stop", "path/3"}} {
		if out, errs, code := s.antano(args...); code != 0 {
			t.Errorf("antano %v: exit %d\n%s%s", args, code, out, errs)
		}
	}
	for _, k := range keepers {
		close(k.stop)
	}
	running.Wait()
	for _, k := range keepers {
		if id := k.whoami(); id != k.id {
			t.Errorf("client %s is %s now", k.id, id)
		}
		if k.asked == 0 {
			t.Errorf("client %s had no answer", k.id)
		}
		t.Logf("client %s: %d messages, worst %s", k.id, k.asked, k.worst)
	}
	if log := s.stderr.String(); strings.Contains(log, "not handed over") {
		t.Error("clients were not handed over")
	}
}
