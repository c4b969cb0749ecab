package query

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"steer/base/fault"
)

func TestParse(t *testing.T) {
	for target, want := range map[string]string{
		"a.b":                            "a.b",
		" a.*.{x,y}.[0-9]? ":             "a.*.{x,y}.[0-9]?",
		"f()":                            "f()",
		"f( a , b.c,5 )":                 "f(a,b.c,5)",
		"f(a) | g(1) |h()":               "h(g(f(a),1))",
		"a|f()|g('x')":                   `g(f(a),"x")`,
		"f(a | g(2), 3)":                 "f(g(a,2),3)",
		`f(a,"it's",'say "x"')`:          `f(a,"it's",'say "x"')`,
		`f('\"\'')`:                      `f('\"\'')`,
		`f(a,"\d+\.","a\"b")`:            `f(a,"\d+\.",'a"b')`,
		"f(a,n=5,s='x',b=TRUE,z=None)":   `f(a,n=5,s="x",b=true,z=none)`,
		"f(-1.5,1e3,+2,.5,-1)":           "f(-1.5,1e3,+2,.5,-1)",
		"f(10.0.0.1,1min,5.x,true.x)":    "f(10.0.0.1,1min,5.x,true.x)",
		"5":                              "5",
		"disk.used;host=web1;mount=/":    "disk.used;host=web1;mount=/",
		"f(a;b=c,5)":                     "f(a;b=c,5)",
		`a\,b\(c`:                        `a\,b\(c`,
		"ümläut.größe":                   "ümläut.größe",
		"template(a.$x, x='b')":          `template(a.$x,x="b")`,
		"seriesByTag('name=x','a=~b.c')": `seriesByTag("name=x","a=~b.c")`,
		"f\t(\n a )":                     "f(a)",
	} {
		x, err := Parse(target)
		if err != nil {
			t.Errorf("%s: %v", target, err)
			continue
		}
		if got := x.String(); got != want {
			t.Errorf("%s: %s, want %s", target, got, want)
		}
	}
}

func TestParseErrors(t *testing.T) {
	for target, want := range map[string]string{
		"":                                     `parse target "" at character 1: it is empty; write a metric path or a function call` + "\n  \n  ^",
		"sum(a.b":                              `parse target "sum(a.b" at character 8: expected "," or ")" in the arguments of sum, found end of the target` + "\n  sum(a.b\n         ^",
		"f(ä,)":                                `parse target "f(ä,)" at character 5: expected a metric path or a function call, found ")"` + "\n  f(ä,)\n      ^",
		"f(a b)":                               `at character 5: expected "," or ")" in the arguments of f, found "b"`,
		"f(a) b":                               `at character 6: unexpected "b" behind the end`,
		"f(n=1,a)":                             `at character 7: an argument by position cannot follow the named argument n`,
		"f(n=1,n=2)":                           `at character 7: the argument n of f is given twice`,
		"a}":                                   `at character 2: "}" without "{"`,
		"a.{b{c":                               `at character 5: "{" inside of "{"`,
		"a.{b":                                 `at character 5: expected "}" to close the list from character 3`,
		"a |":                                  `at character 4: expected a function call behind "|"`,
		"a | b":                                `at character 6: expected "(" behind the function b`,
		`a\`:                                   `at character 2: a backslash needs a character behind it`,
		"f(a,'x":                               `at character 5: the text that starts here has no closing '`,
		"'x'":                                  `at character 1: expected a metric path or a function call, found "'"`,
		"a\xff":                                `at character 2: it is not valid UTF-8`,
		"f(" + strings.Repeat("g(", 100) + "a": `more than 64 functions around each other`,
		"a" + strings.Repeat("|f()", 100):      `more than 64 functions around each other`,
		strings.Repeat("a", maxLength+1):       `it has 65537 bytes, the limit is 65536`,
	} {
		_, err := Parse(target)
		if err == nil || !strings.Contains(err.Error(), want) || fault.Of(err) != fault.Invalid {
			t.Errorf("%.50s: want %s\ngot %v", target, want, err)
		}
		var e *TargetError
		if !errors.As(err, &e) || e.Target != target || e.Offset > len(target) {
			t.Errorf("%.50s: no place in %v", target, err)
		}
	}
}

// The caret stays below its character when a long target is cut.
func TestLongTarget(t *testing.T) {
	target := "sum(" + strings.Repeat("ä.b,", 100) + "}," + strings.Repeat("c,", 100)
	_, err := Parse(target)
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != 3 {
		t.Fatal(err)
	}
	at := utf8.RuneCountInString(lines[2]) - 1
	if r := []rune(lines[1]); r[at] != '}' || len(r) > shown+10 {
		t.Errorf("%v", err)
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"a.b", "sumSeries(a.*, b.{c,d})", "a|f('x')|g(n=1)", `f("\"",'\'')`, "f(-1e3,inf,none,true)",
		"x;a=b", `a\,b`, "template(a.$b,b=1)", "f(((", "{", "a.{b", "\xff", "f(a,\x00)", "aliasSub(a,'(\\d)','\\1')",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, target string) {
		x, err := Parse(target)
		if err != nil {
			var e *TargetError
			if !errors.As(err, &e) || e.Offset < 0 || e.Offset > len(target) || !utf8.ValidString(err.Error()) {
				t.Fatalf("%q: %v", target, err)
			}
			return
		}
		// What was understood can be written down and means the same again.
		again, err := Parse(x.String())
		if err != nil || again.String() != x.String() {
			t.Fatalf("%q became %q, which is %v, %v", target, x, again, err)
		}
	})
}
