package parcel

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"steer/base/fault"
)

// mostControl bounds the control file of a package.
const mostControl = 1 << 20

// Control are the fields of a package's control file, in its order.
type Control []Field

// Field is one of them; Value goes on over several lines as it stands there.
type Field struct{ Name, Value string }

// Get is the value of a field; its name is written in any case.
func (c Control) Get(name string) string {
	for _, f := range c {
		if strings.EqualFold(f.Name, name) {
			return f.Value
		}
	}
	return ""
}

// ReadDeb reads the control file of a .deb.
func ReadDeb(r io.Reader) (Control, error) {
	wrong := func(format string, a ...any) (Control, error) {
		return nil, fault.New(fault.Invalid, "this is no .deb: "+format, a...)
	}
	magic := make([]byte, 8)
	if _, err := io.ReadFull(r, magic); err != nil || string(magic) != "!<arch>\n" {
		return wrong("it is no ar archive")
	}
	for range 10 {
		head := make([]byte, 60)
		if _, err := io.ReadFull(r, head); err != nil {
			return wrong("it has no control.tar")
		}
		name := strings.TrimSuffix(strings.TrimSpace(string(head[:16])), "/")
		size, err := strconv.ParseInt(strings.TrimSpace(string(head[48:58])), 10, 64)
		if err != nil || size < 0 || string(head[58:]) != "`\n" {
			return wrong("a member of its ar archive is damaged")
		}
		member := io.LimitReader(r, size)
		if ending, ok := strings.CutPrefix(name, "control.tar"); ok {
			c, err := readControl(member, ending)
			if err != nil {
				return wrong("%s: %w", name, err)
			}
			return c, nil
		}
		if _, err := io.CopyN(io.Discard, r, size+size%2); err != nil {
			return wrong("it is cut off")
		}
	}
	return wrong("it has no control.tar")
}

func readControl(r io.Reader, ending string) (Control, error) {
	var err error
	switch ending {
	case "":
	case ".gz":
		r, err = gzip.NewReader(r)
	case ".xz":
		r, err = xz.ReaderConfig{DictCap: 64 << 20}.NewReader(r)
	case ".zst":
		var d *zstd.Decoder
		if d, err = zstd.NewReader(r, zstd.WithDecoderMaxMemory(64<<20), zstd.WithDecoderConcurrency(1)); err == nil {
			defer d.Close()
			r = d
		}
	default:
		return nil, fmt.Errorf("compression %q is unknown", ending)
	}
	if err != nil {
		return nil, err
	}
	// Scripts may stand before it: more of them than this is no package of ours.
	files := tar.NewReader(io.LimitReader(r, 64*mostControl))
	for {
		h, err := files.Next()
		if errors.Is(err, io.EOF) {
			return nil, errors.New("there is no file control in it")
		}
		if err != nil {
			return nil, err
		}
		if strings.TrimPrefix(h.Name, "./") != "control" {
			continue
		}
		text, err := io.ReadAll(io.LimitReader(files, mostControl))
		if err != nil {
			return nil, err
		}
		return ParseControl(text)
	}
}

// ParseControl reads one paragraph; see deb-control(5).
func ParseControl(text []byte) (Control, error) {
	var c Control
	for line := range strings.Lines(string(bytes.TrimSpace(text))) {
		line = strings.TrimRight(line, " \t\r\n")
		if line == "" {
			return nil, errors.New("the control file has an empty line in it")
		}
		if line[0] == ' ' || line[0] == '\t' {
			if len(c) == 0 {
				return nil, errors.New("the control file begins with a continued line")
			}
			c[len(c)-1].Value += "\n" + line
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok || name == "" {
			return nil, fmt.Errorf("line %.40q of the control file is no field", line)
		}
		c = append(c, Field{name, strings.TrimSpace(value)})
	}
	for _, name := range []string{"Package", "Version", "Architecture"} {
		if v := c.Get(name); v == "" || strings.ContainsAny(v, "\n /") {
			return nil, fmt.Errorf("field %s of the control file is %q", name, v)
		}
	}
	return c, nil
}
