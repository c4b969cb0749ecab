package infra

import (
	"strings"
	"testing"

	"steer/base/fault"
)

func data() map[string]any {
	return map[string]any{
		"port": 80, "ratio": float64(3), "name": "it's <web>", "empty": "", "nothing": nil,
		"list":    []any{"a", 2, true},
		"host":    map[string]any{"name": "web1", "os": map[string]any{"family": "debian"}},
		"servers": []any{map[string]any{"name": "a"}},
	}
}

func TestFill(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"no braces", "no braces"},
		{"{{ .port }} {{ .host.os.family | upper }} {{ lower \"X\" }}", "80 DEBIAN x"},
		{`{{ .empty | default "x" }} {{ default 1 .nothing }} {{ .port | default 1 }}`, "x 1 80"},
		{`{{ .name | quote }} {{ .port | quote }}`, `"it's <web>" "80"`},
		{`{{ .name | shell }}`, `'it'\''s <web>'`},
		{`{{ .list | join "," }} {{ range split "," "x,y" }}[{{ . }}]{{ end }}`, "a,2,true [x][y]"},
		{"{{ trim \" x \\n\" }}{{ \"a\\n\\nb\\n\" | indent 2 }}", "x  a\n\n  b\n"},
		{`{{ "a.b.c" | replace "." "-" }} {{ b64enc "hi" }}`, "a-b-c aGk="},
		{`{{ toJson .list }} {{ .name | toJson }}`, `["a",2,true] "it's <web>"`},
		{`{{ toYaml .host }}`, "name: web1\nos:\n    family: debian"},
		{`{{ add .port 1 }} {{ sub 5 "2" }} {{ mul .ratio 2 }} {{ div 7 2 }} {{ mod 7 2 }}`, "81 3 6 3 1"},
		{`{{ range .servers }}{{ .name }} {{ $.host.name }}{{ end }}`, "a web1"},
		{`<no value>{{ .empty }}`, "<no value>"},
	} {
		if got, err := Fill(c.text, data()); err != nil || got != c.want {
			t.Errorf("%s: %q %v, want %q", c.text, got, err, c.want)
		}
	}
}

func TestFillErrors(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"a\nb {{ .prot }}", `line 2: there is no key "prot" in .prot (did you mean "port"?)`},
		{"{{ .host.nmae | upper }}", `line 1: there is no key "nmae" in .host.nmae (did you mean "name"?)`},
		{"\n\n{{ $.host.os.famly }}", `line 3: there is no key "famly" in $.host.os.famly (did you mean "family"?)`},
		{"{{ range .servers }}{{ .nme }}{{ end }}", `line 1: there is no key "nme" in .nme`},
		{"x\n{{ .nothing }}", `line 2 of what the template makes: a key without a value`},
		{"{{ uper .name }}", `line 1: there is no function "uper" (did you mean "upper"?)`},
		{"{{ if .port }}", `line 1: unexpected EOF`},
		{"{{ div 1 0 }}", `line 1: div 1 0: error calling div: 1 divided by zero`},
		{"{{ add .name 1 }}", `"it's <web>" is no whole number`},
		{"{{ join \",\" .port }}", `join: 80 is no list`},
		{"{{ indent 101 \"x\" }}", `indent: by 101 spaces`},
		{"{{ .port.x }}", `line 1: .port.x: can't evaluate field x`},
		{"{{ range 1000 }}{{ printf \"%100000d\" 1 }}{{ end }}", `makes more than 16 MiB`},
		{`{{ $s := printf "%100000d" 1 }}{{ $s = replace " " $s $s }}`, `replace: makes more than 16 MiB`},
	} {
		_, err := Fill(c.text, data())
		if err == nil || !strings.Contains(err.Error(), c.want) || fault.Of(err) != fault.Invalid {
			t.Errorf("%s: %v, want %q", c.text, err, c.want)
		}
	}
}
