package watch

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"strings"

	"steer/base/fault"
)

// socket is where systemd speaks with root directly, without a message bus; systemctl
// goes the same way. Whoever is connected gets its signals without asking.
const socket = "/run/systemd/private"

// listen tells the name of each unit whose properties change, and "" when any may have.
// It reads the D-Bus wire format, of which messages' headers are enough; see the D-Bus
// specification, "Message format", and org.freedesktop.systemd1(5) for the signals.
func listen(ctx context.Context, changed func(unit string)) error {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", socket)
	if err != nil {
		return fmt.Errorf("ask systemd about units: %w", err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	// A null byte, then who we are as a decimal number in hexadecimal: root.
	if _, err := io.WriteString(conn, "\x00AUTH EXTERNAL 30\r\n"); err != nil {
		return fmt.Errorf("ask systemd about units: %w", err)
	}
	r := bufio.NewReaderSize(conn, 16<<10)
	line, err := r.ReadSlice('\n')
	if err != nil || !strings.HasPrefix(string(line), "OK ") {
		return fault.New(fault.Denied, "ask systemd about units: it answers %.100q (%v)", line, err)
	}
	if _, err := io.WriteString(conn, "BEGIN\r\n"); err != nil {
		return fmt.Errorf("ask systemd about units: %w", err)
	}
	changed("") // meanwhile
	for {
		path, member, err := signal(r)
		if err != nil {
			return fmt.Errorf("hear about units: %w", err)
		}
		switch member {
		case "PropertiesChanged":
			if unit, ok := strings.CutPrefix(path, "/org/freedesktop/systemd1/unit/"); ok {
				changed(unescape(unit))
			}
		case "UnitFilesChanged", "Reloading":
			changed("")
		}
	}
}

// largestHeader bounds the fields of a message's header.
const largestHeader = 64 << 10

// signal reads one message; path and member are empty when it is no signal.
func signal(r io.Reader) (path, member string, err error) {
	var head [16]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return "", "", err
	}
	order := binary.ByteOrder(binary.LittleEndian)
	if head[0] == 'B' {
		order = binary.BigEndian
	}
	body, size := order.Uint32(head[4:]), order.Uint32(head[12:])
	if head[0] != 'l' && head[0] != 'B' || size > largestHeader || body > 128<<20 {
		return "", "", fault.New(fault.Invalid, "%x is no message of D-Bus", head)
	}
	fields := make([]byte, (size+7)/8*8) // with the filling before the body
	if _, err := io.ReadFull(r, fields); err != nil {
		return "", "", err
	}
	if _, err := io.CopyN(io.Discard, r, int64(body)); err != nil {
		return "", "", err
	}
	if head[1] != 4 {
		return "", "", nil
	}
	// Each field: a code, the signature of its value, the value; at a multiple of 8. Those
	// of signals are strings and the like, but for the length of a signature.
	for at := 0; at+8 <= int(size); at = (at + 7) / 8 * 8 {
		code, kind := fields[at], fields[at+2]
		switch kind {
		case 's', 'o':
			n := int(order.Uint32(fields[at+4:]))
			if n > int(size)-at-8 {
				return "", "", fault.New(fault.Invalid, "a field of a message of D-Bus is too long")
			}
			text := string(fields[at+8 : at+8+n])
			switch code {
			case 1:
				path = text
			case 3:
				member = text
			}
			at += 8 + n + 1
		case 'g':
			at += 4 + 1 + int(fields[at+4]) + 1
		case 'u':
			at += 8
		default:
			return "", "", fault.New(fault.Invalid, "a field of a message of D-Bus is of an unknown kind %q", kind)
		}
	}
	return path, member, nil
}

// unescape reads a unit's name in a path, where other characters than letters and
// digits are an underscore and two digits.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '_' && i+2 < len(s) {
			if c, err := hex.DecodeString(s[i+1 : i+3]); err == nil {
				b.WriteByte(c[0])
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
