package packages

import (
	"encoding/base64"
	"strings"
)

// armoured is a public key of OpenPGP as text, which it may be already. Its first byte
// tells: a packet of the type "public key" in the old or the new format.
func armoured(key []byte) string {
	const oldFormat, newFormat = 0x98, 0xc6 // RFC 9580, section 4.2; the old one has two bits for the length
	if len(key) < 64 || key[0]&^3 != oldFormat && key[0] != newFormat {
		return string(key)
	}
	var b strings.Builder
	b.WriteString("-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n")
	text := base64.StdEncoding.EncodeToString(key)
	for len(text) > 64 {
		b.WriteString(text[:64] + "\n")
		text = text[64:]
	}
	sum := checksum(key)
	b.WriteString(text + "\n=" + base64.StdEncoding.EncodeToString([]byte{byte(sum >> 16), byte(sum >> 8), byte(sum)}) + "\n-----END PGP PUBLIC KEY BLOCK-----\n")
	return b.String()
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
