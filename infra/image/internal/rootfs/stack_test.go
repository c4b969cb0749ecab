package rootfs

import (
	"errors"
	"testing"
)

// TestChangesAbove: what TestScan finds in a tree is found in a stack.
func TestChangesAbove(t *testing.T) {
	needRoot(t)
	base := t.TempDir()
	shell(t, base, `chmod 755 .; mkdir -p a/b c/d; echo one > a/one; ln a/one a/linked; echo two > a/b/two; ln -s one a/link; echo d > c/d/x; echo e > c/d/y; printf '\177ELF' > prog; touch same; mknod fifo p; touch -d @1600000000 same a a/b c c/d`)
	for script, want := range map[string]string{
		"touch same; cat prog > t && cat t > prog; rm t": "same", // the time is later than before, if not than it may be
		"touch a/b/two; chmod 644 a/b/two":               "",
		"chmod 700 a/b/two":                              "a/b/two",
		"printf 'TWO\n' > a/b/two":                       "a/b/two",
		"ln -sfn two a/link":                             "a a/link",
		"rm -r c":                                        "-c",
		"rm -r c; mkdir -p c/d; echo e > c/d/y; touch -d @1600000000 c/d c": "-c/d/x",
		"rm fifo; mkdir fifo; echo x > fifo/in":                             "fifo fifo/in",
		"rm -r a/b; ln -s /etc a/b":                                         "a a/b",
		"mv a/b/two new":                                                    "a/b -a/b/two new",
		"chmod 600 a/one":                                                   "linked",
		"mv a/one one":                                                      "linked",
		"rm a/one":                                                          "linked", // the other name may show what was done before
		"ln prog again":                                                     "again",
	} {
		x, done, err := Stack([]string{base}, t.TempDir(), 1_700_000_000)
		if err != nil {
			t.Fatal(err)
		}
		shell(t, x.Dir, script)
		all, err := x.Scan(t.Context())
		if got := words(all); got != want && (want != "linked" || !errors.Is(err, ErrLinked)) || err != nil && want != "linked" {
			t.Errorf("%s: found %q, %v, want %q", script, got, err, want)
		}
		if err := done(); err != nil {
			t.Error(err)
		}
	}
}
