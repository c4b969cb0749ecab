package store

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"steer/monitor/store/internal/wal"
)

// TestRecordOfANewerVersion: it has a right checksum, so it is no damage that may
// be skipped.
func TestRecordOfANewerVersion(t *testing.T) {
	for _, name := range []string{"names", "wal/0000000000000001.wal"} {
		o := testOptions(t)
		s := mustOpen(t, o)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(o.Dir, name)
		data := wal.AppendFrame(nil, 0, []byte{0, 200})
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(o); err == nil || !strings.Contains(err.Error(), path+": kind of record is not known to this version of Steer") {
			t.Errorf("got %v", err)
		}
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%s was changed: %x %v", name, got, err)
		}
	}
}
