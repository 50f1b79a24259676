package params

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/antano/antano/shared"
)

// row makes a file whose only row, on line 2, has the given keys beside an id.
func row(keys string) string { return "active_service:\n  - {id: 1, " + keys + "}\n" }

// TestIssues holds single mistakes to the exact line and key, and to the part of
// the sentence that says what to change.
func TestIssues(t *testing.T) {
	const tcp = "service_type: tcp, port: 1, "
	tests := []struct{ name, in, want string }{
		{"no rows", "num_of_process: 2\n", "1: active_service: is missing or empty"},
		{"empty rows", "num_of_process: 2\nactive_service: []\n", "2: active_service: is missing or empty"},
		{"null rows", "active_service:\n", "1: active_service: has no value"},
		{"rows are no list", "active_service: {id: 1}\n", "1: active_service: must be a list, not a mapping"},
		{"no type", row("port: 1"), "2: active_service[0].service_type: is missing; name the type"},
		{"type id unknown", row("port: 1, service_type_id: 6"), "2: active_service[0].service_type_id: 6 is not known"},
		{"types disagree", row(tcp + "service_type_id: 1"), "2: active_service[0].service_type: is tcp, but service_type_id 1 is udp"},
		{"format id unknown", row(tcp + "message_format_in_id: 5"), "2: active_service[0].message_format_in_id: must be from 1 to 4"},
		{"format id in the name's key", row(tcp + "message_format_out: 1"), "2: active_service[0].message_format_out: must be a string, not the number 1"},
		{"string is null", row(tcp + "host: ~"), "2: active_service[0].host: has no value"},
		{"host with port", row(tcp + `host: "127.0.0.1:5"`), "2: active_service[0].host: must be an address without"},
		{"host with a blank", row(tcp + `host: "a b"`), "2: active_service[0].host: must be an IP address or a host name"},
		{"endpoint with NUL", row(`service_type: unix, endpoint: "a\0b"`), "2: active_service[0].endpoint: must not contain a NUL"},
		{"endpoint too long", row("service_type: unix, endpoint: " + strings.Repeat("x", 108)), "2: active_service[0].endpoint: must be at most 107 bytes"},
		{"endpoint above", row("service_type: unix, endpoint: a/.."), "2: active_service[0].endpoint: must be the path of a socket"},
		{"mode in decimal", row(tcp + `mode: "0800"`), "2: active_service[0].mode: must be octal permissions"},
		{"mode with setuid", row(tcp + `mode: "4600"`), "2: active_service[0].mode: must be octal permissions"},
		{"mode as number", row(tcp + "mode: 0600"), `2: active_service[0].mode: must be octal digits in quotes, as mode: "0600"`},
		{"name with a slash", row(tcp + "name: a/b"), "2: active_service[0].name: must be 1 to 128 of the characters"},
		{"name of nothing", row(tcp + `name: ""`), "2: active_service[0].name: must be 1 to 128"},
		{"name like a flag", row(tcp + "name: -x"), "2: active_service[0].name: must be 1 to 128"},
		{"name too long", row(tcp + "name: " + strings.Repeat("n", 129)), "2: active_service[0].name: must be 1 to 128"},
		{"name like hex", row(tcp + `name: "0x1f"`), "2: active_service[0].name: looks like a number"},
		{"name like a float", row(tcp + `name: "1e5"`), "2: active_service[0].name: looks like a number"},
		{"name reserved", row(tcp + "name: internal"), "2: active_service[0].name: internal is the internal service"},
		{"entity of nothing", row(tcp + `forward_to: {entity: "", entity_id: 1}`), "2: active_service[0].forward_to.entity: must be client, service"},
		{"entity missing", row(tcp + "forward_to: {entity_id: 1}"), "2: active_service[0].forward_to.entity: is missing"},
		{"entity too long", row(tcp + "forward_to: {entity_id: 1, entity: " + strings.Repeat("e", 256) + "}"), "2: active_service[0].forward_to.entity: must be client"},
		{"client out of range", row(tcp + "forward_to: {entity: client, entity_id: 9007199254740992}"), "2: active_service[0].forward_to.entity_id: is 9007199254740992, which is not the id of a client"},
		{"process queue below a message", row(tcp + "limits: {process_queue_bytes: 1000}"), "2: active_service[0].limits.process_queue_bytes: is 1000, less than one message"},
		{"row's delay over the file's max", "restart: {max_delay: 1s}\nactive_service:\n  - {id: 1, " + tcp + "restart: {delay: 2s}}\n",
			"3: active_service[0].restart.delay: is 2s, more than the max_delay of 1s"},
		{"framing without a stream", row("service_type: udp, port: 1, framing: line"), "2: active_service[0].framing: has no meaning here"},
		{"key of a neighbour", row(tcp + "interval: 5s"), "2: active_service[0].interval: is not a key here; it belongs to health"},
		{"key in capitals", row(tcp + "Name: x"), "2: active_service[0].Name: is not a key; did you mean name?"},
		{"key of row at the top", "port: 3\n" + row("service_type: tcp, port: 1"), "1: port: is not a key here; it belongs to active_service[]"},
		{"key with a newline", row(tcp + `"a\nb": 1`), `2: active_service[0]."a\nb": is not a key`},
		{"default name taken", "active_service:\n  - {id: 1, service_type: tcp, port: 1, name: tcp}\n" +
			"  - {id: 2, service_type: tcp, port: 2, name: tcp-3}\n  - {id: 3, service_type: tcp, port: 3}\n",
			"4: active_service[2].name: is not given and would be tcp-3, which is the service on line 3"},
		{"name twice", "active_service:\n  - {id: 1, service_type: tcp, port: 1, name: a}\n  - {id: 2, service_type: tcp, port: 2, name: a}\n",
			"3: active_service[1].name: a is already the service on line 2"},
		{"too many processes", row(tcp+"processes: 1024") + strings.Join(manyRows(8, 1024), ""),
			"9: active_service[7].processes: takes server 1 over the 8191 processes"},
		{"nested too deep", row(tcp + "settings: {a: " + strings.Repeat("[", 40) + strings.Repeat("]", 40) + "}"),
			"2: active_service[0].settings.a" + strings.Repeat("[0]", 29) + ": is nested more than 32 levels deep"},
		{"second document", row(tcp+"name: a") + "---\n", "3: begins a second document"},
		{"unclosed bracket", "active_service:\n  - {id: 1\n", "2: is not well formed"},
		{"unclosed quote", "active_service:\n  - id: \"1\n", "2: is not well formed"},
		{"tab as indentation", "active_service:\n\t- id: 1\n", "2: is not well formed"},
		{"colon in a value", "active_service:\n  - name: a: b\n", "2: is not well formed"},
		{"text behind", row(tcp+"name: a") + "}\n", "3: is not well formed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse("f.yaml", []byte(tt.in))
			var issues Errors
			if !errors.As(err, &issues) {
				t.Fatalf("got %v, want an issue", err)
			}
			if len(issues) != 1 || !strings.HasPrefix(issues[0].String(), "f.yaml:"+tt.want) {
				t.Errorf("got  %v\nwant f.yaml:%s", err, tt.want)
			}
		})
	}
}

func manyRows(n, processes int) (rows []string) {
	for i := range n {
		rows = append(rows, fmt.Sprintf("  - {id: %d, service_type: tcp, port: %d, processes: %d}\n", i+2, i+2, processes))
	}
	return rows
}

func TestTooLarge(t *testing.T) {
	data := []byte(row("service_type: tcp, port: 1") + "#" + strings.Repeat("x", maxFile))
	if _, err := Parse("f", data); err == nil || !strings.Contains(err.Error(), "larger than 1 MiB") {
		t.Errorf("got %v", err)
	}
}

// TestTooManyRows holds a hostile file to a bounded number of issues.
func TestTooManyRows(t *testing.T) {
	_, err := Parse("f", []byte("active_service: ["+strings.Repeat("{},", 20000)+"]"))
	var issues Errors
	if !errors.As(err, &issues) || len(issues) > maxIssues {
		t.Fatalf("got %d issues, want 1 to %d", len(issues), maxIssues)
	}
	if !strings.Contains(err.Error(), "has 20000 rows, more than the 8191") && !strings.Contains(err.Error(), "there are more issues") {
		t.Errorf("nothing says that there is more: %.200s", err)
	}
}

func TestLoadMissing(t *testing.T) {
	_, err := Load(filepath.Join(t.TempDir(), "none.yaml"))
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	if _, err := Load(t.TempDir()); err == nil {
		t.Error("a directory was read as params")
	}
}

func TestOnePerCPU(t *testing.T) {
	p, err := Parse("f", []byte("num_of_process: 0\n"+row("service_type: tcp, port: 1")))
	if err != nil {
		t.Fatal(err)
	}
	if got := p.Services[0].Processes; got != runtime.NumCPU() {
		t.Errorf("got %d processes, want %d", got, runtime.NumCPU())
	}
}

func TestBOM(t *testing.T) {
	for _, name := range []string{"f.yaml", "f.json"} {
		if _, err := Parse(name, []byte("\xef\xbb\xbf"+`{"active_service":[{"id":1,"service_type":"tcp","port":1}]}`)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestJSONOnly: a .json file is not read as YAML, so that other readers agree.
func TestJSONOnly(t *testing.T) {
	yaml := []byte("active_service:\n- {id: 1, service_type: tcp, port: 1}\n")
	if _, err := Parse("f.json", yaml); err == nil {
		t.Error("YAML was accepted in a .json file")
	}
	if _, err := Parse("f.yaml", yaml); err != nil {
		t.Error(err)
	}
	if _, err := Parse("f.json", nil); err == nil || !strings.Contains(err.Error(), "f.json:1: active_service") {
		t.Errorf("empty .json: %v", err)
	}
}

func TestDevelopment(t *testing.T) {
	p := Development("/run/antano/1")
	srv, rows, err := p.SelectServer(0, false)
	if err != nil || srv.ID != 1 || len(rows) != 3 {
		t.Fatalf("got server %v, %d rows, %v", srv, len(rows), err)
	}
	want := []string{"1 udp udp 127.0.0.1:18001 ", "2 tcp tcp 127.0.0.1:18002 line", "3 unix unix /run/antano/1/antano.sock line"}
	for i, r := range rows {
		at := address(&r)
		if r.ServiceTypeID == shared.TypeUnix {
			at = r.Endpoint
		}
		got := fmt.Sprintf("%d %s %s %s %s", r.ID, r.ServiceType, r.Name, at, r.FramingIn)
		if got != want[i] || r.Processes != 2 || r.MessageFormatIn != shared.FormatJSON || r.Restart != p.Restart {
			t.Errorf("got %q %+v, want %q", got, r, want[i])
		}
	}
	if rows[2].SocketType != shared.SocketStream || rows[2].Mode != 0o600 {
		t.Errorf("got %s %o, want stream 600", rows[2].SocketType, rows[2].Mode)
	}
}
