package settings

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestCheck(t *testing.T) {
	const schema = `{"type":"object","additionalProperties":false,"properties":{"prefix":{"type":"string"}}}`
	for _, c := range []struct{ settings, schema, says string }{
		{"", "", ""},
		{"{}", "", ""},
		{`{"any":1}`, "", "do not fit"},
		{`{"prefix":"x"}`, schema, ""},
		{`{"prefix":5}`, schema, "got number, want string"},
		{`{"other":5}`, schema, "other"},
		{`{`, schema, "are not JSON"},
		{`{}`, `{"type":5}`, "unusable"},
		{`{}`, `{`, "is not JSON"},
		{`{}`, `{"$ref":"file:///etc/passwd"}`, "unusable"},
	} {
		got := Check(json.RawMessage(c.settings), json.RawMessage(c.schema))
		if (got == "") != (c.says == "") || !strings.Contains(got, c.says) || strings.Contains(got, "\n") {
			t.Errorf("%s against %s: %q, want %q", c.settings, c.schema, got, c.says)
		}
	}
}
