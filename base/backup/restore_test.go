package backup_test

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"steer/base/backup"
	"steer/base/fault"
)

// An archive that ends anywhere before its end is refused with the place, and
// leaves nothing.
func TestCutOff(t *testing.T) {
	data := archive(t, map[string]string{"instance": "here", "a/b": strings.Repeat("x", 2000), "c": ""})
	end := bytes.LastIndex(data, []byte("# a word"))
	for n := 0; n < end; n += 97 {
		dir := filepath.Join(t.TempDir(), "d")
		_, err := backup.Restore(t.Context(), bytes.NewReader(data[:n]), dir, nil)
		if fault.Of(err) != fault.Invalid || !strings.Contains(err.Error(), fmt.Sprint("cut off at byte ", n)) {
			t.Fatalf("%d of %d bytes: %v", n, len(data), err)
		}
		if n > 600 && !strings.Contains(err.Error(), ", in or after ") {
			t.Fatalf("%d of %d bytes: %v", n, len(data), err)
		}
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("%d of %d bytes: the folder is there: %v", n, len(data), err)
		}
	}
}

// A changed bit is found, or it is in the filling between files.
func TestAltered(t *testing.T) {
	files := map[string]string{"instance": "here", "a/b": strings.Repeat("x", 600)}
	data := archive(t, files)
	found := 0
	for n := 0; n < len(data); n++ {
		changed := bytes.Clone(data)
		changed[n] ^= 1 << (n % 8)
		sum, err := backup.Verify(bytes.NewReader(changed), nil)
		if err != nil && fault.Of(err) != fault.Invalid {
			t.Fatalf("byte %d: %v", n, err)
		}
		// Only notes, which are for people, are not protected.
		if err == nil && (sum.Files != 2 || sum.Info.Steer != "v1" || len(sum.Notes) != 1) {
			t.Fatalf("byte %d: %+v", n, sum)
		}
		if err != nil {
			found++
		}
		if n%23 > 0 {
			continue
		}
		dir := filepath.Join(t.TempDir(), "d")
		_, err2 := backup.Restore(t.Context(), bytes.NewReader(changed), dir, nil)
		if fault.Of(err) != fault.Of(err2) {
			t.Fatalf("byte %d: verified with %v, restored with %v", n, err, err2)
		}
		if err2 == nil {
			same(t, list(t, dir), whole(files))
		} else if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("byte %d: the folder is there: %v", n, err)
		}
	}
	if found < 4000 {
		t.Errorf("found %d of %d", found, len(data))
	}
	at := bytes.Index(data, []byte(strings.Repeat("x", 600)))
	data[at+300] = 'y'
	_, err := backup.Restore(t.Context(), bytes.NewReader(data), filepath.Join(t.TempDir(), "d"), nil)
	if err == nil || !strings.Contains(err.Error(), "a/b has another checksum than its manifest says") || !strings.Contains(err.Error(), "nothing was restored") {
		t.Errorf("%v", err)
	}
}

// forge makes an archive whose manifest is right and whose headers are what the
// case says.
func forge(headers ...tar.Header) []byte {
	var out, manifest bytes.Buffer
	w := tar.NewWriter(&out)
	put := func(h tar.Header, text string) {
		h.Size = int64(len(text))
		h.Mode = 0o600
		w.WriteHeader(&h)
		io.WriteString(w, text)
		if h.Name != "SHA256SUMS" {
			sum := sha256.Sum256([]byte(text))
			fmt.Fprintf(&manifest, "%s  %s\n", hex.EncodeToString(sum[:]), h.Name)
		}
	}
	put(tar.Header{Name: "backup.json", Typeflag: tar.TypeReg}, `{"format": 1}`)
	for _, h := range headers {
		text := ""
		if h.Typeflag == tar.TypeReg {
			text = "text"
		}
		put(h, text)
	}
	put(tar.Header{Name: "SHA256SUMS", Typeflag: tar.TypeReg}, manifest.String())
	w.Close()
	return out.Bytes()
}

func TestHostile(t *testing.T) {
	for _, c := range []struct {
		name    string
		headers []tar.Header
		want    string
	}{
		{"up", []tar.Header{{Name: "../out", Typeflag: tar.TypeReg}}, "no path below"},
		{"up inside", []tar.Header{{Name: "a/../../out", Typeflag: tar.TypeReg}}, "no path below"},
		{"absolute", []tar.Header{{Name: "/tmp/out", Typeflag: tar.TypeReg}}, "no path below"},
		{"folder up", []tar.Header{{Name: "../out/", Typeflag: tar.TypeDir}}, "no path below"},
		{"symbolic link", []tar.Header{{Name: "a", Linkname: "/etc", Typeflag: tar.TypeSymlink}, {Name: "a/passwd", Typeflag: tar.TypeReg}}, "no file and no folder"},
		{"hard link", []tar.Header{{Name: "a", Linkname: "/etc/passwd", Typeflag: tar.TypeLink}}, "no file and no folder"},
		{"device", []tar.Header{{Name: "a", Typeflag: tar.TypeBlock}}, "no file and no folder"},
		{"pipe", []tar.Header{{Name: "a", Typeflag: tar.TypeFifo}}, "no file and no folder"},
		{"twice", []tar.Header{{Name: "a", Typeflag: tar.TypeReg}, {Name: "a", Typeflag: tar.TypeReg}}, "a is in the archive twice"},
		{"a file as folder", []tar.Header{{Name: "a", Typeflag: tar.TypeReg}, {Name: "a/b", Typeflag: tar.TypeReg}}, "mkdirat a: file exists"},
		{"control character", []tar.Header{{Name: "a\nb", Typeflag: tar.TypeReg}}, "control character"},
		{"a name too long for the disk", []tar.Header{{Name: "good", Typeflag: tar.TypeReg}, {Name: strings.Repeat("n", 300), Typeflag: tar.TypeReg}}, "file name too long"},
		{"the stage's name", []tar.Header{{Name: "backup.json", Typeflag: tar.TypeReg}}, "belongs to the backup"},
	} {
		t.Run(c.name, func(t *testing.T) {
			above := t.TempDir()
			dir := filepath.Join(above, "d")
			_, err := backup.Restore(t.Context(), bytes.NewReader(forge(c.headers...)), dir, nil)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v", err)
			}
			if left := list(t, above); len(left) > 0 {
				t.Errorf("left are %v", left)
			}
		})
	}
	if _, err := backup.Restore(t.Context(), bytes.NewReader(forge(tar.Header{Name: "fine", Typeflag: tar.TypeReg})), filepath.Join(t.TempDir(), "d"), nil); err != nil {
		t.Errorf("a good one is refused, so the cases prove nothing: %v", err)
	}
}

func TestNotABackup(t *testing.T) {
	var other, newer bytes.Buffer
	w := tar.NewWriter(&other)
	w.WriteHeader(&tar.Header{Name: "SHA256SUMS", Typeflag: tar.TypeReg, Mode: 0o600})
	w.Close()
	w = tar.NewWriter(&newer)
	text := `{"format": 2, "steer": "v9"}`
	w.WriteHeader(&tar.Header{Name: "backup.json", Typeflag: tar.TypeReg, Mode: 0o600, Size: int64(len(text))})
	io.WriteString(w, text)
	w.Close()
	for text, want := range map[string]string{
		"":                           "cut off at byte 0",
		strings.Repeat("text ", 500): "no tar archive (if it is compressed",
		other.String():               `no backup that Steer made: it begins with "SHA256SUMS"`,
		newer.String():               "its format is 2, and this Steer knows 1 (use Steer v9 or newer)",
	} {
		_, err := backup.Verify(strings.NewReader(text), nil)
		if fault.Of(err) != fault.Invalid || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func TestOnlyIntoAnEmptyFolder(t *testing.T) {
	data := archive(t, sample)
	full := tree(t, map[string]string{"mine": "text"})
	_, err := backup.Restore(t.Context(), bytes.NewReader(data), full, nil)
	if fault.Of(err) != fault.Conflict || !strings.Contains(err.Error(), "not empty, it holds mine") {
		t.Errorf("%v", err)
	}
	same(t, list(t, full), map[string]string{"mine": "text"})
	_, err = backup.Restore(t.Context(), bytes.NewReader(data), filepath.Join(full, "mine"), nil)
	if fault.Of(err) != fault.Invalid {
		t.Errorf("into a file: %v", err)
	}
	disk := tree(t, map[string]string{"lost+found/": ""})
	if _, err = backup.Restore(t.Context(), bytes.NewReader(data), disk, nil); err != nil {
		t.Errorf("onto an empty disk: %v", err)
	}
}

// While a restore runs, and after it was killed, the folder is not taken for a
// data folder. One that is ended leaves nothing.
func TestInterrupted(t *testing.T) {
	data := archive(t, sample)
	dir := filepath.Join(t.TempDir(), "d")
	ctx, cancel := context.WithCancel(t.Context())
	in, out := io.Pipe()
	begun, ended := make(chan bool, 100), make(chan error, 1)
	go func() {
		_, err := backup.Restore(ctx, in, dir, func(string) { begun <- true })
		ended <- err
	}()
	go out.Write(data[:len(data)/2])
	<-begun
	if err := backup.Interrupted(dir); fault.Of(err) != fault.Conflict || !strings.Contains(err.Error(), "interrupted, or still runs") {
		t.Errorf("%v", err)
	}
	if _, err := backup.Restore(t.Context(), bytes.NewReader(data), dir, nil); fault.Of(err) != fault.Conflict {
		t.Errorf("a second one: %v", err)
	}
	cancel()
	out.CloseWithError(io.ErrUnexpectedEOF)
	if err := <-ended; err == nil {
		t.Error("it came to an end")
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the folder is there: %v", list(t, dir))
	}
	if err := backup.Interrupted(dir); err != nil {
		t.Errorf("a folder that is not there: %v", err)
	}
}

// TestFullDiskChild may write only small files; TestFullDisk starts it.
func TestFullDiskChild(t *testing.T) {
	dir := os.Getenv("STEER_TEST_RESTORE_DIR")
	if dir == "" {
		return
	}
	data := archive(t, sample)
	signal.Ignore(syscall.SIGXFSZ)
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 100_000, Max: 100_000}); err != nil {
		t.Fatal(err)
	}
	_, err := backup.Restore(t.Context(), bytes.NewReader(data), dir, nil)
	if err == nil || !strings.Contains(err.Error(), "file too large") {
		t.Fatalf("%v", err)
	}
	fmt.Println("refused:", err)
}

// A disk that takes no more leaves nothing behind.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0], "-test.run=^TestFullDiskChild$")
	cmd.Env = append(os.Environ(), "STEER_TEST_RESTORE_DIR="+dir)
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "refused: restore into "+dir) {
		t.Fatalf("%v\n%s", err, out)
	}
	if left := list(t, dir); len(left) > 0 {
		t.Errorf("left are %v", left)
	}
}
