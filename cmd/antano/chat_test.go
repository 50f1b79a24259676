package main_test

import (
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// talker is a program that says its input and prints what it hears.
type talker struct {
	in    io.Writer
	hears <-chan string
}

func program(t *testing.T, name string, args ...string) talker {
	t.Helper()
	cmd := exec.Command(name, args...)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	return talker{in, lines(t, cmd)}
}

func (p talker) say(t *testing.T, text string) {
	t.Helper()
	if _, err := io.WriteString(p.in, text+"\n"); err != nil {
		t.Fatal(err)
	}
}

// TestChatExample has a browser, nc and Python talk in one room, as docs/examples/chat says.
// With SCREENSHOT it leaves a picture in that file.
func TestChatExample(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"nc", "python3"} {
		if _, err := exec.LookPath(name); err != nil {
			foreign(t, "the test needs "+name)
		}
	}
	b := startBrowser(t)
	const folder = "../../docs/examples/chat"
	params, err := os.ReadFile(folder + "/params.yaml")
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, freePorts.ReplaceAllString(string(params), "port: 0"))
	page, err := filepath.Abs(folder + "/index.html")
	if err != nil {
		t.Fatal(err)
	}
	b.open("file://" + page)
	b.run(`url.value = arguments[0]; document.getElementById("name").value = "Ada"; join.click()`, "ws://"+s.service("websocket").Address+"/chat")
	b.await("false", `return send.disabled`)

	host, port, err := net.SplitHostPort(s.service("tcp").Address)
	if err != nil {
		t.Fatal(err)
	}
	nc := program(t, "nc", host, port)
	nc.say(t, `{"type":"join","entity":"room","entity_id":7}`)
	wantLine(t, nc.hears, `"joined"`)
	host, port, err = net.SplitHostPort(s.service("udp").Address)
	if err != nil {
		t.Fatal(err)
	}
	python := program(t, "python3", folder+"/udp.py", "Grace", host, port)
	wantLine(t, python.hears, "joined")

	shown := `return [...document.querySelectorAll(".message")].map(m => m.querySelector(".name").textContent + ": " + m.querySelector(".text").textContent).join("\n")`
	var said []string
	for _, m := range []struct {
		who, text string
		say       func(text string)
	}{
		{"Ada", "Good morning! I am a browser.", func(text string) {
			b.run(`document.getElementById("text").value = arguments[0]; send.click()`, text)
		}},
		{"netcat", "Good morning Ada, I am nc on a TCP socket.", func(text string) {
			nc.say(t, `{"entity":"room","entity_id":7,"message":{"name":"netcat","text":"`+text+`"}}`)
		}},
		{"Grace", "And I am twenty lines of Python, over UDP.", func(text string) { python.say(t, text) }},
		{"Ada", "Nice to see you all in one room.", func(text string) {
			b.run(`document.getElementById("text").value = arguments[0]; send.click()`, text)
		}},
	} {
		m.say(m.text)
		said = append(said, m.who+": "+m.text)
		b.await(strings.Join(said, "\n"), shown)
		wantLine(t, nc.hears, m.text, m.who)
		wantLine(t, python.hears, m.who+": "+m.text)
	}
	b.await("Delivered to 3 in room 7.", `return document.getElementById("status").textContent`)
	if file := os.Getenv("SCREENSHOT"); file != "" {
		b.run(`url.value = "ws://127.0.0.1:18004/chat"`)
		if err := os.WriteFile(file, b.screenshot(860, 720), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestEventsInABrowser hears a room with EventSource, and talks with fetch.
func TestEventsInABrowser(t *testing.T) {
	t.Parallel()
	b := startBrowser(t)
	s := start(t, strings.Replace(restParams, "endpoint: /api", `endpoint: /api, settings: {allowed_origins: ["null"]}`, 1))
	page := filepath.Join(t.TempDir(), "empty.html")
	if err := os.WriteFile(page, []byte("<!DOCTYPE html><title>empty</title>"), 0o644); err != nil {
		t.Fatal(err)
	}
	b.open("file://" + page)
	b.run(`
		window.api = arguments[0];
		window.heard = [];
		const events = new EventSource(api + "/events?join=room/7");
		events.addEventListener("joined", e => heard.push("joined"));
		events.onmessage = e => heard.push(JSON.parse(e.data).message);
	`, "http://"+s.service("rest").Address+"/api")
	b.await("joined", `return heard.join()`)
	b.run(`fetch(api, {method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify({entity: "room", entity_id: 7, message: "by fetch"})})
		.then(r => r.json()).then(r => { window.answer = r.type })`)
	b.await("receipt", `return window.answer`)
	b.await("joined,by fetch", `return heard.join()`)
	if out, errs, code := s.antano("restart", "rest"); code != 0 {
		t.Fatalf("restart: %d %s%s", code, out, errs)
	}
	b.await("joined", `return heard[2]`)
}
