package wire

import "testing"

// BenchmarkParse reads the body of a message of 128 bytes.
func BenchmarkParse(b *testing.B) {
	m := Message{Token: 7, Kind: KindClient, EntityID: 1 << 40, Process: AnyProcess, FromKind: KindClient, FromID: 1 << 41, Value: make([]byte, 128)}
	f, _, _, err := Next(AppendMessage(nil, &m))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	var got Message
	for b.Loop() {
		if err := got.Parse(f.Body); err != nil {
			b.Fatal(err)
		}
	}
}
