package main_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"regexp"
	"testing"
	"time"
)

// browser is a headless Chromium, driven over the WebDriver protocol of chromedriver.
// Source: https://www.w3.org/TR/webdriver2/.
type browser struct {
	t       *testing.T
	session string // URL
}

var driverPort = regexp.MustCompile(`started successfully on port (\d+)`)

func startBrowser(t *testing.T) *browser {
	t.Helper()
	for _, name := range []string{"chromium", "chromedriver"} {
		if _, err := exec.LookPath(name); err != nil {
			foreign(t, "the test needs "+name)
		}
	}
	printed := lines(t, exec.Command("chromedriver", "--port=0"))
	port := driverPort.FindStringSubmatch(wantLine(t, printed, "started successfully on port"))
	go func() {
		for range printed {
		}
	}()
	b := &browser{t, "http://127.0.0.1:" + port[1] + "/session"}
	args := []string{
		"--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--hide-scrollbars", "--user-data-dir=" + t.TempDir(),
	}
	var made struct {
		SessionID string `json:"sessionId"`
	}
	b.do("POST", "", map[string]any{"capabilities": map[string]any{"alwaysMatch": map[string]any{
		"browserName": "chrome", "goog:chromeOptions": map[string]any{"args": args},
	}}}, &made)
	b.session += "/" + made.SessionID
	t.Cleanup(func() { b.do("DELETE", "", nil, nil) })
	return b
}

// do gives a command; into takes its value.
func (b *browser) do(method, path string, body, into any) {
	b.t.Helper()
	var content io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			b.t.Fatal(err)
		}
		content = bytes.NewReader(text)
	}
	r, err := http.NewRequest(method, b.session+path, content)
	if err != nil {
		b.t.Fatal(err)
	}
	client := http.Client{Timeout: 3 * patience} // a browser starts slowly on a busy machine
	response, err := client.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		b.t.Fatalf("%s %s: %s %.1000s %v", method, path, response.Status, text, err)
	}
	if into == nil {
		return
	}
	if err := json.Unmarshal(text, &struct{ Value any }{into}); err != nil {
		b.t.Fatalf("%s %s: %v in %.1000s", method, path, err, text)
	}
}

func (b *browser) open(url string) {
	b.t.Helper()
	b.do("POST", "/url", map[string]any{"url": url}, nil)
}

// run runs a function's body in the page and returns its value as text.
func (b *browser) run(script string, args ...any) (value string) {
	b.t.Helper()
	if args == nil {
		args = []any{}
	}
	var v any
	b.do("POST", "/execute/sync", map[string]any{"script": script, "args": args}, &v)
	return fmt.Sprint(v)
}

// await polls a script until its value is as wanted.
func (b *browser) await(want, script string, args ...any) {
	b.t.Helper()
	got := ""
	for end := time.Now().Add(patience); ; pause() {
		if got = b.run(script, args...); got == want {
			return
		}
		if time.Now().After(end) {
			b.t.Fatalf("%s is %q, want %q", script, got, want)
		}
	}
}

func (b *browser) screenshot(width, height int) []byte {
	b.t.Helper()
	b.do("POST", "/window/rect", map[string]any{"width": width, "height": height}, nil)
	var text string
	b.do("GET", "/screenshot", nil, &text)
	png, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		b.t.Fatal(err)
	}
	return png
}
