package openpgp

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"math/big"
	"time"
)

// Numbers of RFC 9580.
const (
	tagSignature = 2
	tagPublicKey = 6
	tagUserID    = 13

	typeBinary        = 0x00
	typeText          = 0x01
	typeCertification = 0x13

	rsaAlgorithm    = 1
	sha256Algorithm = 8
)

// Detached signs data: the packet itself, as the header of an rpm holds it.
func (k *Key) Detached(data []byte, when time.Time) []byte {
	return k.signature(typeBinary, data, when)
}

// Armoured signs data in a file of its own, like Release.gpg.
func (k *Key) Armoured(data []byte, when time.Time) []byte {
	return armour("SIGNATURE", k.Detached(data, when))
}

// Inline signs a text that stays readable, like InRelease.
func (k *Key) Inline(text []byte, when time.Time) []byte {
	text = bytes.TrimRight(text, "\n")
	var signed, shown bytes.Buffer
	for i, line := range bytes.Split(text, []byte("\n")) {
		line = bytes.TrimRight(line, " \t\r")
		if i > 0 {
			signed.WriteString("\r\n")
		}
		signed.Write(line)
		if bytes.HasPrefix(line, []byte("-")) {
			shown.WriteString("- ")
		}
		shown.Write(line)
		shown.WriteByte('\n')
	}
	head := []byte("-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n")
	return bytes.Join([][]byte{head, shown.Bytes(), armour("SIGNATURE", k.signature(typeText, signed.Bytes(), when))}, nil)
}

// packet appends one in the old format, which rpm writes itself.
func packet(b []byte, tag byte, body []byte) []byte {
	b = append(b, 0x80|tag<<2|1) // a length of two bytes follows
	b = binary.BigEndian.AppendUint16(b, uint16(len(body)))
	return append(b, body...)
}

// number appends an integer with its length in bits.
func number(b []byte, n *big.Int) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(n.BitLen()))
	return append(b, n.Bytes()...)
}

func armour(title string, data []byte) []byte {
	var b bytes.Buffer
	b.WriteString("-----BEGIN PGP " + title + "-----\n\n")
	text := base64.StdEncoding.EncodeToString(data)
	for len(text) > 64 {
		b.WriteString(text[:64] + "\n")
		text = text[64:]
	}
	sum := checksum(data)
	b.WriteString(text + "\n=" + base64.StdEncoding.EncodeToString([]byte{byte(sum >> 16), byte(sum >> 8), byte(sum)}) + "\n-----END PGP " + title + "-----\n")
	return b.Bytes()
}

// checksum is the CRC of 24 bits that ends an armour (RFC 9580, section 6.1).
func checksum(data []byte) uint32 {
	sum := uint32(0xb704ce)
	for _, c := range data {
		sum ^= uint32(c) << 16
		for range 8 {
			if sum <<= 1; sum&0x1000000 != 0 {
				sum ^= 0x1864cfb
			}
		}
	}
	return sum & 0xffffff
}
