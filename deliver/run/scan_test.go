package run

import (
	"fmt"
	"strings"
	"testing"
	"testing/iotest"

	"io"

	"pgregory.net/rapid"
)

func TestScan(t *testing.T) {
	for name, c := range map[string]struct {
		out, reason string
		tests       Tests
	}{
		"go test": {
			"--- FAIL: TestPrice (0.00s)\n    pricing_test.go:12: Price = 3, want 4\n    pricing_test.go:13: more\nFAIL\nFAIL\tcatalog\t0.003s\nok  \tcatalog/smoke\t0.1s\nFAIL\n",
			"TestPrice: pricing_test.go:12: Price = 3, want 4",
			Tests{"packages", 1, 1, 0, "TestPrice: pricing_test.go:12: Price = 3, want 4"},
		},
		"go test -v": {
			"=== RUN   TestA\n--- PASS: TestA (0.00s)\n=== RUN   TestB\n    b_test.go:7: no luck\n--- FAIL: TestB (0.01s)\n=== RUN   TestC\n    c_test.go:1: later\n--- SKIP: TestC (0.00s)\nFAIL\nFAIL\tcatalog\t0.003s\n",
			"TestB: b_test.go:7: no luck",
			Tests{"tests", 1, 1, 1, "TestB: b_test.go:7: no luck"},
		},
		"subtest": {
			"--- FAIL: TestA (0.00s)\n    --- FAIL: TestA/empty_name (0.00s)\n        a_test.go:9: want error\nFAIL\nFAIL\tcatalog\t0.003s\n",
			"TestA/empty_name: a_test.go:9: want error",
			Tests{"packages", 0, 1, 0, "TestA/empty_name: a_test.go:9: want error"},
		},
		"message below its place": {
			"--- FAIL: TestA (0.00s)\n    a_test.go:9: \n        \tError Trace:\t/x/a_test.go:9\n        \tError:      \tShould be true\nFAIL\n",
			"TestA: a_test.go:9: Error:      \tShould be true",
			Tests{"packages", 0, 0, 0, "TestA: a_test.go:9: Error:      \tShould be true"},
		},
		"panic in a test": {
			"--- FAIL: TestA (0.00s)\npanic: index out of range [3] [recovered]\n\tpanic: index out of range [3]\n\ngoroutine 7 [running]:\ntesting.tRunner.func1.2()\n\t/usr/local/go/src/testing/testing.go:1632 +0x230\ncatalog.Price(...)\n\t/src/pricing.go:4 +0x1d\nFAIL\tcatalog\t0.005s\n",
			"TestA: panic: index out of range [3] [recovered] (pricing.go:4)",
			Tests{"packages", 0, 1, 0, "TestA"},
		},
		"compiler": {
			"# catalog\n./main.go:12:3: undefined: foo\n./main.go:14:3: undefined: bar\nFAIL\tcatalog [build failed]\nFAIL\n",
			"./main.go:12:3: undefined: foo", Tests{},
		},
		"vet":           {"# catalog\nvet: ./main.go:3:1: unreachable code\n", "./main.go:3:1: unreachable code", Tests{}},
		"warnings pass": {"x.c:3:1: warning: unused\nx.c:9:1: error: no\n", "x.c:9:1: error: no", Tests{}},
		"colours":       {"\x1b[31merror\x1b[0m: it broke\nmore\n", "error: it broke", Tests{}},
		"python":        {"Traceback (most recent call last):\n  File \"x.py\", line 1\nValueError: no\n", "ValueError: no", Tests{}},
		"npm":           {"> build\n> vite\n\nsrc/a.ts(3,5): error TS2322: Type\n", "src/a.ts(3,5): error TS2322: Type", Tests{}},
		"rust":          {"   Compiling x\nerror[E0425]: cannot find value\n --> src/main.rs:2:5\n", "error[E0425]: cannot find value", Tests{}},
		"last line":     {"one\ntwo\n\nexit status 1\n", "two", Tests{}},
		"nothing":       {"\n \n", "", Tests{}},
		"in the folder": {"/src/main.go:1: bad\n", "main.go:1: bad", Tests{}},
		"no line end":   {"fatal: not a repository", "fatal: not a repository", Tests{}},
		"go test -json": {
			`{"Action":"start","Package":"catalog"}
{"Action":"run","Package":"catalog","Test":"TestA"}
{"Action":"output","Package":"catalog","Test":"TestA","Output":"    a_test.go:3: log only\n"}
{"Action":"pass","Package":"catalog","Test":"TestA","Elapsed":0}
{"Action":"run","Package":"catalog","Test":"TestB"}
{"Action":"output","Package":"catalog","Test":"TestB/x","Output":"        b_test.go:8: bad\n"}
{"Action":"output","Package":"catalog","Test":"TestB/x","Output":"    --- FAIL: TestB/x (0.00s)\n"}
{"Action":"fail","Package":"catalog","Test":"TestB/x","Elapsed":0}
{"Action":"fail","Package":"catalog","Test":"TestB","Elapsed":0}
{"Action":"skip","Package":"catalog","Test":"TestC","Elapsed":0}
{"Action":"output","Package":"catalog","Output":"FAIL\tcatalog\t0.003s\n"}
{"Action":"fail","Package":"catalog","Elapsed":0}
`,
			"TestB/x: b_test.go:8: bad",
			Tests{"tests", 1, 1, 1, "TestB/x: b_test.go:8: bad"},
		},
	} {
		s := &scanner{}
		if _, err := io.Copy(s, iotest.OneByteReader(strings.NewReader(c.out))); err != nil {
			t.Fatal(err)
		}
		s.finish()
		if got := s.reason("/src"); got != c.reason {
			t.Errorf("%s: reason %q, want %q", name, got, c.reason)
		}
		got := Tests{}
		if p := s.tests(); p != nil {
			got = *p
		}
		if got != c.tests {
			t.Errorf("%s: tests %+v, want %+v", name, got, c.tests)
		}
	}
}

// Whatever a command prints, and in whatever pieces, the scanner survives, keeps
// little, and finds the same.
func TestScanProperty(t *testing.T) {
	word := rapid.SampledFrom([]string{
		"--- FAIL: TestA (0.00s)", "    a_test.go:3: x", "panic: y", "\t/a/b.go:3 +0x1", "=== RUN   TestA", `{"Action":"fail","Test":"T"}`,
		`{"Action":`, "FAIL", "ok  \tx\t0.1s", "error: z", "\x1b[31m", "\x00", "ü", "\n", "\n", "\r\n", strings.Repeat("x", 5000),
	})
	rapid.Check(t, func(rt *rapid.T) {
		parts := rapid.SliceOf(word).Draw(rt, "parts")
		text := strings.Join(parts, "")
		whole, pieces := &scanner{}, &scanner{}
		io.WriteString(whole, text)
		for rest := text; rest != ""; {
			n := rapid.IntRange(1, len(rest)).Draw(rt, "n")
			io.WriteString(pieces, rest[:n])
			rest = rest[n:]
		}
		whole.finish()
		pieces.finish()
		if a, b := whole.reason("/a"), pieces.reason("/a"); a != b || len(a) > 510 {
			rt.Fatalf("%q or %q", a, b)
		}
		if a, b := fmt.Sprint(whole.tests()), fmt.Sprint(pieces.tests()); a != b {
			rt.Fatalf("%s or %s", a, b)
		}
	})
}
