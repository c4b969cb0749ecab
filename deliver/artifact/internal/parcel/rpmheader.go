package parcel

import (
	"bytes"
	"encoding/binary"
	"io"
	"slices"

	"steer/base/fault"
)

// Tags of headers, as rpmtag.h numbers them.
const (
	tagSignatures = 62
	tagImmutable  = 63
	tagRSA        = 268
	tagSHA1       = 269
	tagSHA256     = 273
	tagSigSize    = 1000
	tagSigMD5     = 1004
	tagSigPayload = 1007

	tagName          = 1000
	tagVersion       = 1001
	tagRelease       = 1002
	tagEpoch         = 1003
	tagSummary       = 1004
	tagDescription   = 1005
	tagBuildTime     = 1006
	tagBuildHost     = 1007
	tagSize          = 1009
	tagVendor        = 1011
	tagLicense       = 1014
	tagPackager      = 1015
	tagGroup         = 1016
	tagURL           = 1020
	tagOS            = 1021
	tagArch          = 1022
	tagPreIn         = 1023
	tagPostIn        = 1024
	tagPreUn         = 1025
	tagPostUn        = 1026
	tagFileSizes     = 1028
	tagFileModes     = 1030
	tagFileDevices   = 1033
	tagFileTimes     = 1034
	tagFileDigests   = 1035
	tagFileLinks     = 1036
	tagFileFlags     = 1037
	tagFileUsers     = 1039
	tagFileGroups    = 1040
	tagSourceRPM     = 1044
	tagFileVerify    = 1045
	tagProvideName   = 1047
	tagRequireFlags  = 1048
	tagRequireName   = 1049
	tagRequireVer    = 1050
	tagConflictFlags = 1053
	tagConflictName  = 1054
	tagConflictVer   = 1055
	tagRPMVersion    = 1064
	tagPreInProg     = 1085
	tagPostInProg    = 1086
	tagPreUnProg     = 1087
	tagPostUnProg    = 1088
	tagObsoleteName  = 1090
	tagFileDevs      = 1095
	tagFileInodes    = 1096
	tagFileLangs     = 1097
	tagProvideFlags  = 1112
	tagProvideVer    = 1113
	tagObsoleteFlags = 1114
	tagObsoleteVer   = 1115
	tagDirIndexes    = 1116
	tagBaseNames     = 1117
	tagDirNames      = 1118
	tagPayloadFormat = 1124
	tagPayloadZip    = 1125
	tagPayloadFlags  = 1126
	tagDigestAlgo    = 5011
	tagPayloadDigest = 5092
	tagPayloadAlgo   = 5093
)

// Types of entries.
const (
	typeInt16  = 3
	typeInt32  = 4
	typeString = 6
	typeBytes  = 7
	typeList   = 8
	typeI18n   = 9
)

// header collects the entries of a header that is written.
type header map[int32]headerEntry

type headerEntry struct {
	kind, count int32
	data        []byte
}

func (h header) text(tag int32, s string) {
	if s != "" {
		h[tag] = headerEntry{typeString, 1, append([]byte(s), 0)}
	}
}

func (h header) i18n(tag int32, s string) { h[tag] = headerEntry{typeI18n, 1, append([]byte(s), 0)} }

func (h header) texts(tag int32, all []string) {
	var b []byte
	for _, s := range all {
		b = append(append(b, s...), 0)
	}
	h[tag] = headerEntry{typeList, int32(len(all)), b}
}

func (h header) ints(tag int32, all ...int32) {
	var b []byte
	for _, n := range all {
		b = binary.BigEndian.AppendUint32(b, uint32(n))
	}
	h[tag] = headerEntry{typeInt32, int32(len(all)), b}
}

func (h header) shorts(tag int32, all []int16) {
	var b []byte
	for _, n := range all {
		b = binary.BigEndian.AppendUint16(b, uint16(n))
	}
	h[tag] = headerEntry{typeInt16, int32(len(all)), b}
}

func (h header) raw(tag int32, b []byte) { h[tag] = headerEntry{typeBytes, int32(len(b)), b} }

// bytes is the header with its region: an entry before all others whose trailer
// behind the data says how far what is signed reaches.
func (h header) bytes(region int32) []byte {
	var tags []int32
	for t := range h {
		tags = append(tags, t)
	}
	slices.Sort(tags)
	var index, store []byte
	entry := func(b []byte, tag, kind, offset, count int32) []byte {
		for _, n := range []int32{tag, kind, offset, count} {
			b = binary.BigEndian.AppendUint32(b, uint32(n))
		}
		return b
	}
	for _, t := range tags {
		e := h[t]
		for align := map[int32]int{typeInt16: 2, typeInt32: 4}[e.kind]; align > 0 && len(store)%align != 0; {
			store = append(store, 0)
		}
		index = entry(index, t, e.kind, int32(len(store)), e.count)
		store = append(store, e.data...)
	}
	first := entry(nil, region, typeBytes, int32(len(store)), 16)
	store = entry(store, region, typeBytes, -int32(len(tags)+1)*16, 16)
	b := []byte{0x8e, 0xad, 0xe8, 1, 0, 0, 0, 0}
	b = binary.BigEndian.AppendUint32(b, uint32(len(tags)+1))
	b = binary.BigEndian.AppendUint32(b, uint32(len(store)))
	return bytes.Join([][]byte{b, first, index, store}, nil)
}

// mostHeader bounds what is read of a header, in bytes.
const mostHeader = 64 << 20

// head is a header that was read.
type head struct {
	entries map[int32]headerEntry // data from where the entry begins
	size    int64                 // of all of it
}

// readHeader reads one header.
func readHeader(r io.Reader) (head, error) {
	wrong := fault.New(fault.Invalid, "this is no .rpm: a header of it is damaged")
	intro := make([]byte, 16)
	if _, err := io.ReadFull(r, intro); err != nil || !bytes.Equal(intro[:4], []byte{0x8e, 0xad, 0xe8, 1}) {
		return head{}, wrong
	}
	count, size := binary.BigEndian.Uint32(intro[8:]), binary.BigEndian.Uint32(intro[12:])
	if count > mostHeader/16 || size > mostHeader {
		return head{}, wrong
	}
	b, err := io.ReadAll(io.LimitReader(r, int64(count)*16+int64(size)))
	if err != nil || len(b) != int(count)*16+int(size) {
		return head{}, wrong
	}
	h := head{entries: map[int32]headerEntry{}, size: 16 + int64(len(b))}
	store := b[count*16:]
	for i := range count {
		e := b[i*16:]
		tag, kind := int32(binary.BigEndian.Uint32(e)), int32(binary.BigEndian.Uint32(e[4:]))
		offset, n := binary.BigEndian.Uint32(e[8:]), binary.BigEndian.Uint32(e[12:])
		if offset > size || n > size {
			return head{}, wrong
		}
		h.entries[tag] = headerEntry{kind, int32(n), store[offset:]}
	}
	return h, nil
}

// texts are the strings of a tag.
func (h head) texts(tag int32) []string {
	e := h.entries[tag]
	if e.kind != typeString && e.kind != typeList && e.kind != typeI18n {
		return nil
	}
	var all []string
	for range e.count {
		text, rest, ok := bytes.Cut(e.data, []byte{0})
		if !ok {
			return nil
		}
		all, e.data = append(all, string(text)), rest
	}
	return all
}

func (h head) text(tag int32) string { return append(h.texts(tag), "")[0] }

// ints are the numbers of a tag, of 16 or 32 bits.
func (h head) ints(tag int32) []int64 {
	e := h.entries[tag]
	width := map[int32]int{typeInt16: 2, typeInt32: 4}[e.kind]
	if width == 0 || len(e.data) < int(e.count)*width {
		return nil
	}
	all := make([]int64, e.count)
	for i := range all {
		if width == 2 {
			all[i] = int64(binary.BigEndian.Uint16(e.data[i*2:]))
		} else {
			all[i] = int64(binary.BigEndian.Uint32(e.data[i*4:]))
		}
	}
	return all
}

func (h head) int(tag int32) int64 { return append(h.ints(tag), 0)[0] }
