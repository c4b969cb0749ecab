package watch

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

func inotify(wd int32, mask uint32, name string) []byte {
	padded := []byte(name)
	for len(padded)%16 != 0 {
		padded = append(padded, 0)
	}
	b := binary.NativeEndian.AppendUint32(nil, uint32(wd))
	b = binary.NativeEndian.AppendUint32(b, mask)
	b = binary.NativeEndian.AppendUint32(b, 0)
	return append(binary.NativeEndian.AppendUint32(b, uint32(len(padded))), padded...)
}

func TestEvents(t *testing.T) {
	f, err := openFiles()
	if err != nil {
		t.Fatal(err)
	}
	defer f.close()
	f.want("/a/b/one", 1)
	f.want("/a/b/two", 2)
	f.want("/a/tree/", 3)
	f.paths[1], f.paths[2], f.paths[3] = []string{"/"}, []string{"/a/b"}, []string{"/a/tree"}
	for _, c := range []struct {
		name  string
		b     []byte
		want  []int
		moved bool
	}{
		{"a file", inotify(2, unix.IN_MODIFY, "one"), []int{1}, false},
		{"two at once", append(inotify(2, unix.IN_MODIFY, "one"), inotify(2, unix.IN_ATTRIB, "two")...), []int{1, 2}, false},
		{"nobody's", inotify(2, unix.IN_MODIFY, "three"), nil, false},
		{"in a tree", inotify(3, unix.IN_CREATE, "anything"), []int{3}, false},
		{"a folder above", inotify(1, unix.IN_MOVED_TO, "a"), []int{1, 2, 3}, true},
		{"its rights only", inotify(1, unix.IN_ATTRIB, "a"), nil, false},
		{"a folder that went", inotify(2, unix.IN_DELETE_SELF, ""), []int{1, 2}, true},
		{"of an unknown watch", inotify(9, unix.IN_MODIFY, "one"), nil, false},
		{"some were lost", inotify(-1, unix.IN_Q_OVERFLOW, ""), []int{1, 2, 3}, true},
		{"torn", inotify(2, unix.IN_MODIFY, "one")[:20], nil, false},
	} {
		touched, moved := f.events(c.b)
		slices.Sort(touched)
		if touched = slices.Compact(touched); !slices.Equal(touched, c.want) || moved != c.moved {
			t.Errorf("%s: %v %v, want %v %v", c.name, touched, moved, c.want, c.moved)
		}
	}
}

// message is one of D-Bus with these fields: code, kind, text.
func message(order binary.AppendByteOrder, kind byte, body int, fields ...[3]string) []byte {
	var f []byte
	for _, one := range fields {
		for len(f)%8 != 0 {
			f = append(f, 0)
		}
		f = append(f, one[0][0], 1, one[1][0], 0)
		switch one[1] {
		case "s", "o":
			f = append(order.AppendUint32(f, uint32(len(one[2]))), one[2]+"\x00"...)
		case "g":
			f = append(append(f, byte(len(one[2]))), one[2]+"\x00"...)
		case "u":
			f = order.AppendUint32(f, 7)
		}
	}
	mark := byte('l')
	if fmt.Sprint(order) == fmt.Sprint(binary.BigEndian) {
		mark = 'B'
	}
	b := order.AppendUint32([]byte{mark, kind, 0, 1}, uint32(body))
	b = order.AppendUint32(b, 1)
	b = append(order.AppendUint32(b, uint32(len(f))), f...)
	for len(b)%8 != 0 {
		b = append(b, 0)
	}
	return append(b, make([]byte, body)...)
}

func TestSignal(t *testing.T) {
	const path = "/org/freedesktop/systemd1/unit/a_2db_40_31_2eservice"
	fields := [][3]string{{"\x08", "g", "sa{sv}as"}, {"\x01", "o", path}, {"\x02", "s", "org.freedesktop.DBus.Properties"}, {"\x09", "u", ""}, {"\x03", "s", "PropertiesChanged"}}
	for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
		r := bytes.NewReader(append(message(order, 4, 100, fields...), message(order, 2, 0)...))
		p, member, err := signal(r)
		if p != path || member != "PropertiesChanged" || err != nil {
			t.Errorf("%v: %q %q %v", order, p, member, err)
		}
		if p, member, err = signal(r); p != "" || member != "" || err != nil || r.Len() != 0 {
			t.Errorf("%v: an answer is taken for a signal: %q %q %v, %d bytes left", order, p, member, err, r.Len())
		}
	}
	if got := unescape("a_2db_40_31_2eservice"); got != "a-b@1.service" {
		t.Error(got)
	}
	if got := unescape("a_"); got != "a_" {
		t.Error(got)
	}
}

func FuzzSignal(f *testing.F) {
	f.Add(message(binary.LittleEndian, 4, 3, [3]string{"\x01", "o", "/a"}, [3]string{"\x03", "s", "b"}))
	f.Add(message(binary.BigEndian, 4, 0, [3]string{"\x08", "g", "s"}, [3]string{"\x09", "u", ""}))
	f.Fuzz(func(t *testing.T, b []byte) {
		path, member, err := signal(bytes.NewReader(b))
		if err != nil && (path != "" || member != "") {
			t.Errorf("%q %q in spite of %v", path, member, err)
		}
	})
}

func TestBoundOfFolders(t *testing.T) {
	f, err := openFiles()
	if err != nil {
		t.Fatal(err)
	}
	defer f.close()
	dir := t.TempDir()
	for i := range 5 {
		if err := os.MkdirAll(filepath.Join(dir, "tree", fmt.Sprint(i)), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	f.want(dir+"/tree/**", 1)
	f.want(dir+"/tree/3/**", 2)
	if f.trees.most = 4; f.cover() != nil || len(f.trees.watched) != 4 || f.trees.note != "changes deep in "+dir+"/tree are seen by visits only: only 4 folders are watched" {
		t.Errorf("%+v", f.trees)
	}
	if got := f.trees.of(dir + "/tree/3"); !slices.Equal(got, []int{1, 2}) {
		t.Error(got)
	}
	if got := f.trees.of(dir + "/tree/33"); !slices.Equal(got, []int{1}) {
		t.Error(got)
	}
}
