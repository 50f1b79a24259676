package shared

import (
	"encoding/json"
	"slices"
	"testing"
)

// TestFormatsInJSON shows formats by name, third parties' too.
func TestFormatsInJSON(t *testing.T) {
	all := Formats{FormatJSON, FormatMsgpack, FormatText, FormatBinary, 100}
	b, err := json.Marshal(all)
	if err != nil || string(b) != `["json","msgpack","text","binary","format-100"]` {
		t.Fatalf("%s, %v", b, err)
	}
	var back Formats
	if err := json.Unmarshal(b, &back); err != nil || !slices.Equal(back, all) {
		t.Errorf("%v, %v", back, err)
	}
	for _, bad := range []string{`["jsonx"]`, `[1]`, `"AQI="`, `["format-300"]`} {
		if json.Unmarshal([]byte(bad), &back) == nil {
			t.Errorf("%s was read as %v", bad, back)
		}
	}
}
