package converge

import (
	"slices"
	"strings"
	"testing"
)

// TestRecordsAreBounded: a change for which there is no room any more says so.
func TestRecordsAreBounded(t *testing.T) {
	dir := t.TempDir()
	r, err := openRecords(dir, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	body := strings.Repeat("x", 4<<20)
	for range 20 {
		if err := r.write([]undo{{Ref: "note:a", Kind: "note", Body: body}}); err != nil {
			t.Fatal(err)
		}
	}
	all, err := readUndo(dir, 1)
	if err != nil || len(all) != 20 || all[14].Body != body || all[16].Body != "" || all[16].Why != "one generation keeps 64 MiB, and these are full" {
		t.Errorf("%d %v", len(all), err)
	}
	if r.size > mostKept+1<<20 {
		t.Errorf("%d bytes", r.size)
	}
}

// TestTornRecord: what a death tore costs one line, and none after it.
func TestTornRecord(t *testing.T) {
	dir := t.TempDir()
	r, err := openRecords(dir, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	r.f.WriteString(`{"ref":"note:to`)
	if err := r.write([]undo{{Ref: "note:a"}}); err != nil {
		t.Fatal(err)
	}
	if all, err := readUndo(dir, 1); err != nil || len(all) != 1 || all[0].Ref != "note:a" {
		t.Errorf("%+v %v", all, err)
	}
}

// TestLargeGenerationsGo earlier than others, but never the newest.
func TestLargeGenerationsGo(t *testing.T) {
	dir := t.TempDir()
	for n := 1; n <= 4; n++ {
		r, err := openRecords(dir, n)
		if err == nil {
			err = r.f.Truncate([]int64{1 << 20, 30 << 20, 30 << 20, 40 << 20}[n-1])
		}
		if err == nil {
			err = r.finish(&run{Options: Options{Dir: dir}}, Report{})
		}
		r.close()
		if err != nil {
			t.Fatal(err)
		}
		kept, err := keptNumbers(dir)
		if want := [][]int{{1}, {2, 1}, {3, 2, 1}, {4}}[n-1]; err != nil || !slices.Equal(kept, want) {
			t.Errorf("after %d: %v %v, want %v", n, kept, err, want)
		}
	}
}
