package envfile

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	got, _, err := Parse("# comment\n\nA=b\r\n B = c d \nQ=\"x \\\" \\\\ \\n y\"\nS='a \"b\" \\'\nE=\nN=a=b#c")
	want := []Variable{{"A", "b", 3}, {"B", "c d", 4}, {"Q", `x " \ \n y`, 5}, {"S", `a "b" \`, 6}, {"E", "", 7}, {"N", "a=b#c", 8}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
	for text, fault := range map[string]string{
		"A=1\nB":    "has no =",
		"A='x":      "does not end with it",
		"A=\"x\\\"": "does not end with it",
		"A='x' y":   "follows the closing quote",
		"A=x\x00":   "NUL",
	} {
		if _, line, err := Parse(text); err == nil || !strings.Contains(err.Error(), fault) || line != 1+strings.Count(text, "\n") {
			t.Errorf("%q: line %d, %v", text, line, err)
		}
	}
}

func TestLoad(t *testing.T) {
	file := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(file, []byte("A=1\nsecret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(file); err == nil || !strings.Contains(err.Error(), file+":2:") || strings.Contains(err.Error(), "secret") {
		t.Errorf("got %v", err)
	}
	if err := os.WriteFile(file, make([]byte, maxFile+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(file); err == nil || !strings.Contains(err.Error(), "larger") {
		t.Errorf("got %v", err)
	}
	if _, err := Load(file + "x"); err == nil {
		t.Error("a file that is not there was read")
	}
}

func FuzzParse(f *testing.F) {
	f.Add("A=b\n# c\nB=\"\\\"\"\n")
	f.Add("A='")
	f.Fuzz(func(t *testing.T, text string) {
		all, line, err := Parse(text)
		if err != nil && (line < 1 || line > 1+strings.Count(text, "\n")) {
			t.Errorf("line %d of %q", line, text)
		}
		for _, v := range all {
			if strings.ContainsAny(v.Name+v.Value, "\n\x00") && !strings.Contains(v.Name, "\x00") {
				t.Errorf("%+v in %q", v, text)
			}
		}
	})
}
