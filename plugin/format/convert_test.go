package format

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"math/big"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/antano/antano/shared"
)

const (
	fJSON, fMsgpack  = shared.FormatJSON, shared.FormatMsgpack
	fText, fBinary   = shared.FormatText, shared.FormatBinary
	anyFormat        = shared.FormatID(101)
	b64Hello, helloB = `{"$b64":"aGVsbG8="}`, "\xc4\x05hello"
)

// conversions are one way unless both is set. The msgpack is written by hand from
// the specification.
var conversions = []struct {
	from     shared.FormatID
	in       string
	to       shared.FormatID
	out      string
	bothWays bool
}{
	{fJSON, `null`, fMsgpack, "\xc0", true},
	{fJSON, `false`, fMsgpack, "\xc2", true},
	{fJSON, `true`, fMsgpack, "\xc3", true},
	{fJSON, `0`, fMsgpack, "\x00", true},
	{fJSON, `127`, fMsgpack, "\x7f", true},
	{fJSON, `128`, fMsgpack, "\xcc\x80", true},
	{fJSON, `256`, fMsgpack, "\xcd\x01\x00", true},
	{fJSON, `65536`, fMsgpack, "\xce\x00\x01\x00\x00", true},
	{fJSON, `4294967296`, fMsgpack, "\xcf\x00\x00\x00\x01\x00\x00\x00\x00", true},
	{fJSON, `9007199254740993`, fMsgpack, "\xcf\x00\x20\x00\x00\x00\x00\x00\x01", true},
	{fJSON, `9223372036854775807`, fMsgpack, "\xcf\x7f\xff\xff\xff\xff\xff\xff\xff", true},
	{fJSON, `9223372036854775808`, fMsgpack, "\xcf\x80\x00\x00\x00\x00\x00\x00\x00", true},
	{fJSON, `18446744073709551615`, fMsgpack, "\xcf\xff\xff\xff\xff\xff\xff\xff\xff", true},
	{fJSON, `18446744073709551616`, fMsgpack, "\xcb\x43\xf0\x00\x00\x00\x00\x00\x00", false},
	{fJSON, `-1`, fMsgpack, "\xff", true},
	{fJSON, `-32`, fMsgpack, "\xe0", true},
	{fJSON, `-33`, fMsgpack, "\xd0\xdf", true},
	{fJSON, `-128`, fMsgpack, "\xd0\x80", true},
	{fJSON, `-129`, fMsgpack, "\xd1\xff\x7f", true},
	{fJSON, `-32769`, fMsgpack, "\xd2\xff\xff\x7f\xff", true},
	{fJSON, `-2147483649`, fMsgpack, "\xd3\xff\xff\xff\xff\x7f\xff\xff\xff", true},
	{fJSON, `-9223372036854775808`, fMsgpack, "\xd3\x80\x00\x00\x00\x00\x00\x00\x00", true},
	{fJSON, `-9223372036854775809`, fMsgpack, "\xcb\xc3\xe0\x00\x00\x00\x00\x00\x00", false},
	{fJSON, `-0`, fMsgpack, "\x00", false},
	{fJSON, `1.0`, fMsgpack, "\xcb\x3f\xf0\x00\x00\x00\x00\x00\x00", true},
	{fJSON, `1e0`, fMsgpack, "\xcb\x3f\xf0\x00\x00\x00\x00\x00\x00", false},
	{fJSON, `-0.0`, fMsgpack, "\xcb\x80\x00\x00\x00\x00\x00\x00\x00", true},
	{fJSON, `0.1`, fMsgpack, "\xcb\x3f\xb9\x99\x99\x99\x99\x99\x9a", true},
	{fJSON, `1e+21`, fMsgpack, "\xcb\x44\x4b\x1a\xe4\xd6\xe2\xef\x50", true},
	{fJSON, `5e-324`, fMsgpack, "\xcb\x00\x00\x00\x00\x00\x00\x00\x01", true},
	{fJSON, `1e-999`, fMsgpack, "\xcb\x00\x00\x00\x00\x00\x00\x00\x00", false},
	{fJSON, `""`, fMsgpack, "\xa0", true},
	{fJSON, `"hello"`, fMsgpack, "\xa5hello", true},
	{fJSON, `"` + strings.Repeat("x", 32) + `"`, fMsgpack, "\xd9\x20" + strings.Repeat("x", 32), true},
	{fJSON, `"` + strings.Repeat("x", 256) + `"`, fMsgpack, "\xda\x01\x00" + strings.Repeat("x", 256), true},
	{fJSON, `"` + strings.Repeat("x", 65536) + `"`, fMsgpack, "\xdb\x00\x01\x00\x00" + strings.Repeat("x", 65536), true},
	{fJSON, `"\"\\\n\r\t\u0000"`, fMsgpack, "\xa6\"\\\n\r\t\x00", true},
	{fJSON, `"\/\b\f\u00e9\uD83D\ude00"`, fMsgpack, "\xa9/\b\fé😀", false},
	{fJSON, `"\ud83d"`, fMsgpack, "\xa3\ufffd", false},
	{fJSON, `"\ude00\ud83dx\ud83d\n\ud83d\u0041"`, fMsgpack, "\xaf\ufffd\ufffdx\ufffd\n\ufffdA", false},
	{fJSON, `"` + strings.Repeat(`\u0041`, 300) + `"`, fMsgpack, "\xda\x01\x2c" + strings.Repeat("A", 300), false},
	{fJSON, `"\n` + strings.Repeat("x", 30) + `"`, fMsgpack, "\xbf\n" + strings.Repeat("x", 30), true},
	{fJSON, `"\n` + strings.Repeat("x", 31) + `"`, fMsgpack, "\xd9\x20\n" + strings.Repeat("x", 31), true},
	{fJSON, `"\n` + strings.Repeat("x", 254) + `"`, fMsgpack, "\xd9\xff\n" + strings.Repeat("x", 254), true},
	{fJSON, `"\n` + strings.Repeat("x", 255) + `"`, fMsgpack, "\xda\x01\x00\n" + strings.Repeat("x", 255), true},
	{fJSON, `"\n` + strings.Repeat("x", 65535) + `"`, fMsgpack, "\xdb\x00\x01\x00\x00\n" + strings.Repeat("x", 65535), true},
	{fJSON, b64Hello, fMsgpack, helloB, true},
	{fJSON, `{"$b64":"` + strings.Repeat("AAAA", 85) + `"}`, fMsgpack, "\xc4\xff" + strings.Repeat("\x00", 255), true},
	{fJSON, `{"$b64":"` + strings.Repeat("AAAA", 86) + `"}`, fMsgpack, "\xc5\x01\x02" + strings.Repeat("\x00", 258), true},
	{fJSON, `{"$b64":"` + strings.Repeat("AAAA", 21846) + `"}`, fMsgpack, "\xc6\x00\x01\x00\x02" + strings.Repeat("\x00", 65538), true},
	{fJSON, `{"$b64":""}`, fMsgpack, "\xc4\x00", true},
	{fJSON, ` { "\u0024b64" : "aGVs\u0062G8=" } `, fMsgpack, helloB, false},
	{fJSON, `[{"$b64":"aGVsbG8="},1]`, fMsgpack, "\x92" + helloB + "\x01", true},
	{fJSON, `{"$b64":"aGVsbG8"}`, fMsgpack, "\x81\xa4$b64\xa7aGVsbG8", true},
	{fJSON, `{"$b64":"aGVsbG9="}`, fMsgpack, "\x81\xa4$b64\xa8aGVsbG9=", true},
	{fJSON, `{"$b64":"aGVs\nbG8="}`, fMsgpack, "\x81\xa4$b64\xa9aGVs\nbG8=", true},
	{fJSON, `{"$b64":"aGVs\n\r\n\nbG8="}`, fMsgpack, "\x81\xa4$b64\xacaGVs\n\r\n\nbG8=", true},
	{fJSON, `{"$b64":"_-8="}`, fMsgpack, "\x81\xa4$b64\xa4_-8=", true},
	{fJSON, `{"$b64":1}`, fMsgpack, "\x81\xa4$b64\x01", true},
	{fJSON, `{"$b64":"","x":1}`, fMsgpack, "\x82\xa4$b64\xa0\xa1x\x01", true},
	{fJSON, `{"$b64":"","$b64":""}`, fMsgpack, "\x82\xa4$b64\xa0\xa4$b64\xa0", true},
	{fJSON, `[]`, fMsgpack, "\x90", true},
	{fJSON, `{}`, fMsgpack, "\x80", true},
	{fJSON, "\t[ 1 ,\n[ ] , { } ,[ 2,3 ]\r\n] ", fMsgpack, "\x94\x01\x90\x80\x92\x02\x03", false},
	{fJSON, `{"a":{"b":[true,{"c":null}]},"d":"]"}`, fMsgpack, "\x82\xa1a\x81\xa1b\x92\xc3\x81\xa1c\xc0\xa1d\xa1]", true},
	{fJSON, `{"a":1,"a":2}`, fMsgpack, "\x82\xa1a\x01\xa1a\x02", true},
	{fJSON, `[` + strings.Repeat("1,", 15) + `1]`, fMsgpack, "\xdc\x00\x10" + strings.Repeat("\x01", 16), true},
	{fJSON, `[` + strings.Repeat("1,", 65535) + `1]`, fMsgpack, "\xdd\x00\x01\x00\x00" + strings.Repeat("\x01", 65536), true},
	{fJSON, nested(512), fMsgpack, strings.Repeat("\x91", 511) + "\x90", true},
	{fMsgpack, "\xca\x3d\xcc\xcc\xcd", fJSON, "0.10000000149011612", false},
	{fMsgpack, "\xca\x3f\x80\x00\x00", fJSON, "1.0", false},
	{fMsgpack, "\xd3\x00\x00\x00\x00\x00\x00\x00\x05", fJSON, "5", false},
	{fMsgpack, "\xde\x00\x01\xd9\x01a\xc5\x00\x01b", fJSON, `{"a":{"$b64":"Yg=="}}`, false},
	{fMsgpack, "\xdf\x00\x00\x00\x01\xdb\x00\x00\x00\x01a\xc6\x00\x00\x00\x01b", fJSON, `{"a":{"$b64":"Yg=="}}`, false},
	{fMsgpack, "\xcb\x42\x37\x48\x76\xe8\x00\x00\x00", fJSON, "100000000000.0", false},
	{fMsgpack, "\xa7\x7f\u2028<>&", fJSON, "\"\x7f\u2028<>&\"", true},

	{fJSON, `"hi\nü"`, fText, "hi\nü", true},
	{fJSON, ` "x" `, fText, "x", false},
	{fJSON, ` { "a" : [ 1 , "b c" ] } `, fText, `{"a":[1,"b c"]}`, false},
	{fJSON, ` 12.50 `, fText, `12.50`, false},
	{fJSON, `null`, fText, `null`, false},
	{fJSON, b64Hello, fText, "hello", false},
	{fJSON, `[` + b64Hello + `]`, fText, `[` + b64Hello + `]`, false},
	{fJSON, `{"$b64":"no"}`, fText, `{"$b64":"no"}`, false},
	{fJSON, `"hi"`, fBinary, "hi", false},
	{fJSON, b64Hello, fBinary, "hello", true},
	{fJSON, `{"$b64":"/w=="}`, fBinary, "\xff", true},
	{fJSON, `{"$b64":""}`, fBinary, "", true},
	{fJSON, `{"a": 1}`, fBinary, `{"a":1}`, false},
	{fMsgpack, "\xa3hi\n", fText, "hi\n", true},
	{fMsgpack, helloB, fText, "hello", false},
	{fMsgpack, "\x81\xa1a" + helloB, fText, `{"a":` + b64Hello + `}`, false},
	{fMsgpack, "\xc0", fText, `null`, false},
	{fMsgpack, "\xa2hi", fBinary, "hi", false},
	{fMsgpack, "\xc4\x01\xff", fBinary, "\xff", true},
	{fMsgpack, "\x05", fBinary, `5`, false},
	{fText, "", fJSON, `""`, true},
	{fText, "", fMsgpack, "\xa0", true},
	{fText, "hü\n", fBinary, "hü\n", true},
}

func nested(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }

func TestConvert(t *testing.T) {
	for _, tc := range conversions {
		checkConvert(t, tc.from, tc.in, tc.to, tc.out)
		if tc.bothWays {
			checkConvert(t, tc.to, tc.out, tc.from, tc.in)
		}
	}
}

func checkConvert(t *testing.T, from shared.FormatID, in string, to shared.FormatID, want string) {
	t.Helper()
	got, err := Convert([]byte("before "), []byte(in), from, to)
	if err != nil || string(got) != "before "+want {
		t.Errorf("%s to %s: %.80q gave %.80q, %v; want %.80q", from, to, in, got, err, want)
	}
	if err := Check(to, []byte(want)); err != nil {
		t.Errorf("Check: %v", err)
	}
}

func TestConvertUnsupported(t *testing.T) {
	for _, tc := range []struct {
		from    shared.FormatID
		in      string
		to      shared.FormatID
		wantErr string
	}{
		{fJSON, `1e999`, fMsgpack, "beyond float64"},
		{fJSON, `[1,-1e999,2]`, fMsgpack, "beyond float64"},
		{fJSON, strings.Repeat("9", 400), fMsgpack, "beyond float64"},
		{fJSON, nested(513), fMsgpack, "deeper than 512"},
		{fJSON, nested(513), fText, "deeper than 512"},
		{fJSON, ``, fMsgpack, "ends too early"},
		{fJSON, `1 2`, fMsgpack, "something follows"},
		{fJSON, "\"\xff\"", fMsgpack, "not valid UTF-8"},
		{fJSON, `{"$b64":"/w=="}`, fText, "not valid UTF-8"},
		{fJSON, `{"$b64":`, fBinary, "ends too early"},
		{fMsgpack, "", fJSON, "ends too early"},
		{fMsgpack, "\x01\x02", fJSON, "something follows"},
		{fMsgpack, "\xa1ab", fText, "something follows"},
		{fMsgpack, "\xc4\x01ab", fBinary, "something follows"},
		{fMsgpack, "\xa5abc", fText, "ends too early"},
		{fMsgpack, "\xc1", fJSON, "0xc1"},
		{fMsgpack, "\x91\xa1\xff", fJSON, "a string that is not UTF-8"},
		{fMsgpack, "\xa1\xff", fText, "not valid UTF-8"},
		{fMsgpack, "\xa1\xff", fBinary, "not valid UTF-8"},
		{fMsgpack, "\xc4\x01\xff", fText, "not valid UTF-8"},
		{fMsgpack, "\x81\x01\x02", fJSON, "map key that is not a string"},
		{fMsgpack, "\x81\xc4\x01a\x02", fJSON, "map key that is not a string"},
		{fMsgpack, "\x81\xa1\xff\x02", fJSON, "a string that is not UTF-8"},
		{fMsgpack, "\xd6\xff\x00\x00\x00\x01", fJSON, "an extension type"},
		{fMsgpack, "\x91\xc7\x00\x05", fText, "an extension type"},
		{fMsgpack, "\xca\x7f\xc0\x00\x00", fJSON, "NaN or an infinity"},
		{fMsgpack, "\xcb\xff\xf0\x00\x00\x00\x00\x00\x00", fJSON, "NaN or an infinity"},
		{fMsgpack, strings.Repeat("\x91", 512) + "\x90", fJSON, "deeper than 512"},
		{fMsgpack, strings.Repeat("\x81\xa0", 512) + "\x80", fJSON, "deeper than 512"},
		{fMsgpack, "\xdd\xff\xff\xff\xff\x01", fJSON, "ends too early"},
		{fText, "\xff", fJSON, "not valid UTF-8"},
		{fText, "\xff", fMsgpack, "not valid UTF-8"},
		{fBinary, "\xff", fText, "not valid UTF-8"},
		{anyFormat, "x", fText, "format-101 cannot be converted to text"},
		{fText, "x", anyFormat, "text cannot be converted to format-101"},
	} {
		got, err := Convert([]byte("before"), []byte(tc.in), tc.from, tc.to)
		if string(got) != "before" {
			t.Errorf("%s to %s: %.40q left %.40q", tc.from, tc.to, tc.in, got)
		}
		checkCode(t, err, shared.CodeUnsupported, tc.wantErr)
	}
}

// TestConvertEqual shows that nothing is looked at when the formats are equal.
func TestConvertEqual(t *testing.T) {
	for _, f := range []shared.FormatID{fJSON, fMsgpack, fText, fBinary} {
		if got, err := Convert([]byte("a"), []byte("\xc1\xff"), f, f); err != nil || string(got) != "a\xc1\xff" {
			t.Errorf("%s: %q, %v", f, got, err)
		}
	}
}

func TestCheck(t *testing.T) {
	for _, tc := range []struct {
		f           shared.FormatID
		in, wantErr string
	}{
		{fJSON, `{"a":}`, "a value is expected"}, {fJSON, `1 1`, "something follows"}, {fJSON, "\"\xff\"", "UTF-8"},
		{fMsgpack, "\x91", "ends too early"}, {fMsgpack, "\x01\x01", "something follows"},
		{fText, "\xff", "UTF-8"}, {anyFormat, "", "format-101"},
	} {
		checkCode(t, Check(tc.f, []byte(tc.in)), shared.CodeUnsupported, tc.wantErr)
	}
	if err := Check(fBinary, []byte("\xff")); err != nil {
		t.Error(err)
	}
}

// TestConvertAgainstPython compares both directions with what msgpack-python packed.
func TestConvertAgainstPython(t *testing.T) {
	file, err := os.ReadFile("testdata/python-msgpack.golden")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(file)) {
		text, packed, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		if !ok || strings.HasPrefix(line, "#") {
			continue
		}
		n++
		want, err := hex.DecodeString(packed)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Convert(nil, []byte(text), fJSON, fMsgpack)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %x, %v; want %x", text, got, err, want)
		}
		back, err := Convert(nil, want, fMsgpack, fJSON)
		if err != nil || !sameJSON(t, back, []byte(text)) {
			t.Errorf("%x: %s, %v; want %s", want, back, err, text)
		}
	}
	if n < 80 {
		t.Errorf("only %d lines were compared", n)
	}
}

// sameJSON compares two JSON texts by value, 64-bit integers exactly.
func sameJSON(t testing.TB, a, b []byte) bool {
	return sameValue(decode(t, a), decode(t, b))
}

func decode(t testing.TB, b []byte) any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%q: %v", b, err)
	}
	return v
}

func sameValue(a, b any) bool {
	switch a := a.(type) {
	case []any:
		b, ok := b.([]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for i := range a {
			if !sameValue(a[i], b[i]) {
				return false
			}
		}
		return true
	case map[string]any:
		b, ok := b.(map[string]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for k, v := range a {
			w, ok := b[k]
			if !ok || !sameValue(v, w) {
				return false
			}
		}
		return true
	case json.Number:
		b, ok := b.(json.Number)
		return ok && sameNumber(string(a), string(b))
	}
	return a == b
}

// sameNumber compares integers of 64 bits exactly and all others as float64.
func sameNumber(a, b string) bool {
	x, okX := new(big.Int).SetString(a, 10)
	y, okY := new(big.Int).SetString(b, 10)
	if okX && okY && (x.IsInt64() || x.IsUint64()) {
		return x.Cmp(y) == 0
	}
	f, errF := strconv.ParseFloat(a, 64)
	g, errG := strconv.ParseFloat(b, 64)
	if errF != nil || errG != nil {
		return a == b
	}
	return f == g
}
