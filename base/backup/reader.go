package backup

import (
	"archive/tar"
	"bufio"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"steer/base/fault"
)

// Verify reads an archive to its end and compares it with its manifest. Tell,
// which may be nil, gets the name of each file as it begins. An archive that is
// cut off or altered is fault.Invalid with the place.
func Verify(in io.Reader, tell func(name string)) (Summary, error) {
	return read(in, os.TempDir(), func(h *tar.Header, body io.Reader) error {
		if tell != nil {
			tell(h.Name)
		}
		_, err := io.Copy(io.Discard, body)
		return err
	})
}

// read goes through an archive once and hands each file and folder but the
// first and the last file to take, which reads a file to its end. What it took
// counts only when the error is nil. Temp is a folder for a list of what was
// read: the manifest, and with it the first word on what is right, comes last.
func read(in io.Reader, temp string, take func(h *tar.Header, body io.Reader) error) (Summary, error) {
	list, err := unnamed(temp)
	if err != nil {
		return Summary{}, fmt.Errorf("read backup: %w", err)
	}
	defer list.Close()
	r := &reader{in: &counter{in: bufio.NewReaderSize(in, pieceSize)}, list: bufio.NewWriter(list), take: take}
	r.tar = tar.NewReader(r.in)
	for {
		h, err := r.tar.Next()
		if err != nil {
			return r.sum, r.broken(err)
		}
		r.name = h.Name
		if h.Name == manifestName && r.told {
			break
		}
		if err := r.entry(h); err != nil {
			return r.sum, err
		}
	}
	if err := r.list.Flush(); err != nil {
		return r.sum, fmt.Errorf("read backup: %w", err)
	}
	if _, err := list.Seek(0, io.SeekStart); err != nil {
		return r.sum, fmt.Errorf("read backup: %w", err)
	}
	if err := r.compare(bufio.NewReader(list)); err != nil {
		return r.sum, err
	}
	switch h, err := r.tar.Next(); {
	case err == nil:
		return r.sum, fault.New(fault.Invalid, "read backup: it goes on with %q behind its manifest, so it was altered", h.Name)
	case !errors.Is(err, io.EOF):
		return r.sum, r.broken(err)
	}
	return r.sum, nil
}

type reader struct {
	in   *counter
	tar  *tar.Reader
	list *bufio.Writer
	take func(h *tar.Header, body io.Reader) error
	name string // of the last entry that began
	sum  Summary
	told bool // backup.json was read
}

// entry reads one file or folder.
func (r *reader) entry(h *tar.Header) error {
	if !r.told {
		if h.Name != infoName || h.Typeflag != tar.TypeReg || h.Size > 1<<20 {
			return fault.New(fault.Invalid, "read backup: this is no backup that Steer made: it begins with %.100q", h.Name)
		}
		return r.info()
	}
	name := h.Name
	switch h.Typeflag {
	case tar.TypeDir:
		name = strings.TrimSuffix(name, "/")
	case tar.TypeReg:
	default:
		return fault.New(fault.Invalid, "read backup: %.200q is no file and no folder, so Steer did not write it", h.Name)
	}
	if err := checkFile(name); err != nil {
		return fault.New(fault.Invalid, "read backup: %w", err)
	}
	h.Name = name
	if h.Typeflag == tar.TypeDir {
		return r.take(h, strings.NewReader(""))
	}
	return r.file(h, r.take)
}

// file reads a file and notes its checksum.
func (r *reader) file(h *tar.Header, take func(h *tar.Header, body io.Reader) error) error {
	hash := sha256.New()
	body := &tee{r: r, hash: hash}
	if err := take(h, body); err != nil {
		return err
	}
	if body.err != nil {
		return body.err
	}
	r.sum.Files++
	r.sum.Bytes += h.Size
	_, err := r.list.WriteString(line(hash.Sum(nil), h.Name))
	return err
}

// info reads backup.json.
func (r *reader) info() error {
	err := r.file(&tar.Header{Name: infoName}, func(_ *tar.Header, body io.Reader) error {
		text, err := io.ReadAll(body)
		if err != nil {
			return err
		}
		if err := json.Unmarshal(text, &r.sum.Info); err != nil || r.sum.Info.Format < 1 {
			return fault.New(fault.Invalid, "read backup: its %s is damaged", infoName)
		}
		if r.sum.Info.Format > format {
			return fault.New(fault.Invalid, "read backup: its format is %d, and this Steer knows %d (use Steer %s or newer)", r.sum.Info.Format, format, r.sum.Info.Steer)
		}
		return nil
	})
	r.told = true
	r.sum.Files, r.sum.Bytes = 0, 0
	return err
}

// compare holds the manifest, which comes now, against what was read.
func (r *reader) compare(list *bufio.Reader) error {
	altered := func(format string, args ...any) error {
		return fault.New(fault.Invalid, "read backup: "+format+": the archive was damaged or altered (use another one)", args...)
	}
	manifest := bufio.NewReaderSize(r.tar, longestLine)
	for {
		text, err := manifest.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			return altered("a line of %s is too long", manifestName)
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return r.broken(err)
		}
		if len(text) == 0 {
			break
		}
		wanted := string(text)
		if note, ok := strings.CutPrefix(wanted, "# "); ok {
			if len(r.sum.Notes) <= mostNotes {
				r.sum.Notes = append(r.sum.Notes, strings.TrimSuffix(note, "\n"))
			}
			continue
		}
		got, err := list.ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("read backup: %w", err)
		}
		if got == wanted {
			continue
		}
		_, gotName, _ := strings.Cut(strings.TrimSuffix(got, "\n"), "  ")
		_, wantedName, _ := strings.Cut(strings.TrimSuffix(wanted, "\n"), "  ")
		switch {
		case got == "":
			return altered("%.200q of its manifest is missing", wantedName)
		case gotName != wantedName:
			return altered("it has %.200q where its manifest says %.200q", gotName, wantedName)
		}
		return altered("%s has another checksum than its manifest says", gotName)
	}
	if got, _ := list.ReadString('\n'); got != "" {
		_, name, _ := strings.Cut(strings.TrimSuffix(got, "\n"), "  ")
		return altered("%.200q is not in its manifest", name)
	}
	return nil
}

// broken words an error of the stream, with the place.
func (r *reader) broken(err error) error {
	place := fmt.Sprintf("at byte %d", r.in.n)
	if r.name != "" {
		place += ", in or after " + r.name
	}
	switch {
	case r.in.err != nil && !errors.Is(r.in.err, io.EOF): // not the archive's fault
		return fmt.Errorf("read backup: %s: %w", place, r.in.err)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fault.New(fault.Invalid, "read backup: it is cut off %s: its end with the manifest is missing (use another one)", place)
	case r.name == "":
		return fault.New(fault.Invalid, "read backup: this is no tar archive (if it is compressed, pass it through zstd -d or gzip -d first)")
	}
	return fault.New(fault.Invalid, "read backup: it is damaged %s: %w (use another one)", place, err)
}

// tee reads the content of a file, and keeps errors of the archive apart from
// those of whoever takes it.
type tee struct {
	r    *reader
	hash io.Writer
	err  error
}

func (t *tee) Read(p []byte) (int, error) {
	n, err := t.r.tar.Read(p)
	t.hash.Write(p[:n])
	if err != nil && !errors.Is(err, io.EOF) {
		t.err = t.r.broken(err)
		return n, t.err
	}
	return n, err
}

// counter knows the place in a stream.
type counter struct {
	in  io.Reader
	n   int64
	err error
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.in.Read(p)
	c.n += int64(n)
	c.err = err
	return n, err
}
