package backup

import (
	"archive/tar"
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"steer/base/fault"
)

// Writer writes an archive. It keeps one piece of a file in memory, and the
// manifest in a file that has no name. After an error there is nothing to do but
// Abandon. It must not be used concurrently.
type Writer struct {
	out   *tar.Writer
	sums  *bufio.Writer
	file  *os.File // behind sums
	sum   Summary
	piece []byte
	more  int // notes that were left out
}

// NewWriter begins an archive. Temp is a folder for the manifest while it grows.
func NewWriter(out io.Writer, temp string, info Info) (*Writer, error) {
	info.Format = format
	file, err := unnamed(temp)
	if err != nil {
		return nil, fmt.Errorf("begin backup: %w", err)
	}
	w := &Writer{out: tar.NewWriter(out), sums: bufio.NewWriter(file), file: file, sum: Summary{Info: info}, piece: make([]byte, pieceSize)}
	text, err := json.MarshalIndent(info, "", "  ")
	if err == nil {
		err = w.add(infoName, 0o644, int64(len(text)+1), bytes.NewReader(append(text, '\n')))
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	w.sum.Files, w.sum.Bytes = 0, 0
	return w, nil
}

// unnamed makes a file that is gone when it is closed, or when the process dies.
func unnamed(dir string) (*os.File, error) {
	f, err := os.CreateTemp(dir, "backup-*")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// Dir makes a folder, for those that may be empty: folders of files come by
// themselves.
func (w *Writer) Dir(name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	h := &tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: 0o700, ModTime: w.modified()}
	if err := w.out.WriteHeader(h); err != nil {
		return fmt.Errorf("write %s to the backup: %w", name, err)
	}
	return nil
}

func (w *Writer) modified() time.Time { return w.sum.Info.Created.Truncate(time.Second) }

// Bytes adds a file with this content.
func (w *Writer) Bytes(name string, data []byte) error {
	return w.File(name, int64(len(data)), bytes.NewReader(data))
}

// File adds a file with the next size bytes of in.
func (w *Writer) File(name string, size int64, in io.Reader) error {
	if err := checkFile(name); err != nil {
		return err
	}
	return w.add(name, 0o600, size, in)
}

func checkFile(name string) error {
	if name == infoName || name == manifestName {
		return fault.New(fault.Invalid, "file %s: the name belongs to the backup", name)
	}
	return checkName(name)
}

// Copy adds a file as it is now; what is appended meanwhile is left out. When the
// file is gone, nothing is written and the error is fs.ErrNotExist.
func (w *Writer) Copy(name, path string) error {
	if err := checkFile(name); err != nil {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fault.New(fault.Invalid, "back up %s: it is no regular file", path)
	}
	return w.add(name, info.Mode().Perm()|0o600, info.Size(), f)
}

// Salvage adds a file that may lie on bad sectors. Zeros stand for what cannot be
// read, and a note says so.
func (w *Writer) Salvage(name string, size int64, in io.ReaderAt) error {
	s := &salvage{in: in, size: size}
	err := w.File(name, size, s)
	if s.lost > 0 {
		w.Note("%s: %d bytes cannot be read and are zeros in the backup: %v", name, s.lost, s.why)
	}
	return err
}

// add writes one file and its line of the manifest.
func (w *Writer) add(name string, mode fs.FileMode, size int64, in io.Reader) error {
	h := &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: int64(mode), Size: size, ModTime: w.modified()}
	if err := w.out.WriteHeader(h); err != nil {
		return fmt.Errorf("write %s to the backup: %w", name, err)
	}
	hash := sha256.New()
	for left := size; left > 0; {
		n, err := io.ReadFull(in, w.piece[:min(left, pieceSize)])
		if n == 0 || err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
			if err == nil || errors.Is(err, io.EOF) {
				return fault.New(fault.Unavailable, "back up %s: it got shorter while it was read (take the backup again)", name)
			}
			return fmt.Errorf("back up %s: %w", name, err)
		}
		hash.Write(w.piece[:n])
		if _, err := w.out.Write(w.piece[:n]); err != nil {
			return fmt.Errorf("write %s to the backup: %w", name, err)
		}
		left -= int64(n)
	}
	w.sum.Files++
	w.sum.Bytes += size
	_, err := w.sums.WriteString(line(hash.Sum(nil), name))
	return err
}

// line is a line of the manifest.
func line(sum []byte, name string) string { return hex.EncodeToString(sum) + "  " + name + "\n" }

// Note puts a line for people into the manifest.
func (w *Writer) Note(format string, args ...any) {
	text := []rune(fmt.Sprintf(format, args...))
	for i, c := range text {
		if c < ' ' {
			text[i] = ' '
		}
	}
	if len(w.sum.Notes) == mostNotes {
		w.more++
		return
	}
	w.sum.Notes = append(w.sum.Notes, string(text[:min(len(text), 1000)]))
}

// Close writes the manifest and ends the archive.
func (w *Writer) Close() (Summary, error) {
	defer w.Abandon()
	if w.more > 0 {
		w.sum.Notes = append(w.sum.Notes, fmt.Sprintf("and %d more", w.more))
	}
	for _, note := range w.sum.Notes {
		fmt.Fprintf(w.sums, "# %s\n", note)
	}
	err := w.sums.Flush()
	if err != nil {
		return w.sum, fmt.Errorf("write manifest of the backup: %w", err)
	}
	size, err := w.file.Seek(0, io.SeekEnd)
	if err != nil {
		return w.sum, fmt.Errorf("write manifest of the backup: %w", err)
	}
	sum := w.sum
	if err := w.add(manifestName, 0o644, size, io.NewSectionReader(w.file, 0, size)); err != nil {
		return sum, err
	}
	if err := w.out.Close(); err != nil {
		return sum, fmt.Errorf("end the backup: %w", err)
	}
	return sum, nil
}

// Written is what the archive holds so far.
func (w *Writer) Written() Summary { return w.sum }

// Abandon lets go of an archive that is not to be ended. It may be called after
// Close.
func (w *Writer) Abandon() { w.file.Close() }

// salvage reads on behind what cannot be read.
type salvage struct {
	in       io.ReaderAt
	at, size int64
	lost     int64
	why      error
}

// sector is the piece that is given up for one that cannot be read.
const sector = 4 << 10

func (s *salvage) Read(p []byte) (int, error) {
	if s.at >= s.size {
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), s.size-s.at)]
	n, err := s.in.ReadAt(p, s.at)
	if n > 0 {
		s.at += int64(n)
		return n, nil
	}
	if errors.Is(err, io.EOF) {
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), sector-s.at%sector)]
	clear(p)
	s.at += int64(len(p))
	s.lost += int64(len(p))
	s.why = err
	return len(p), nil
}
