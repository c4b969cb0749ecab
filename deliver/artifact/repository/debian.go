package repository

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"slices"
	"strings"
	"time"

	"steer/deliver/artifact/internal/openpgp"
	"steer/deliver/artifact/internal/parcel"
)

// debian makes the index files of a suite, by their path below dists/SUITE/. Their form
// is described at https://wiki.debian.org/DebianRepository/Format.
func (r *Repository) debian(name string, list []Entry, made time.Time, key *openpgp.Key) map[string][]byte {
	// Hosts complain about a repository that does not know their architecture, even if
	// all that they want from it fits every one.
	architectures := []string{"amd64", "arm64"}
	for _, e := range list {
		if a := r.known[e.Digest].deb.Get("Architecture"); e.Kind == parcel.Deb && a != "all" && !slices.Contains(architectures, a) {
			architectures = append(architectures, a)
		}
	}
	slices.Sort(architectures)
	files := map[string][]byte{}
	var release bytes.Buffer
	fmt.Fprintf(&release, "Origin: Steer\nLabel: Steer\nSuite: %s\nCodename: %s\nDate: %s\nAcquire-By-Hash: yes\nArchitectures: %s\nComponents: main\n",
		name, name, made.Format(time.RFC1123), strings.Join(architectures, " "))
	release.WriteString("Description: " + map[bool]string{true: "Every green version", false: "Versions that were deployed to or published for " + name}[name == All] + "\nSHA256:\n")
	for _, a := range architectures {
		var packages bytes.Buffer
		for _, e := range list {
			if c := r.known[e.Digest].deb; e.Kind == parcel.Deb && (c.Get("Architecture") == a || c.Get("Architecture") == "all") {
				writeParagraph(&packages, c, e)
			}
		}
		plain := "main/binary-" + a + "/Packages"
		files[plain], files[plain+".gz"] = packages.Bytes(), zipped(packages.Bytes())
		for _, f := range []string{plain, plain + ".gz"} {
			fmt.Fprintf(&release, " %s %d %s\n", digest(files[f]), len(files[f]), f)
		}
	}
	text := bytes.ReplaceAll(release.Bytes(), []byte(" UTC\n"), []byte(" +0000\n"))
	files["Release"], files["Release.gpg"], files["InRelease"] = text, key.Armoured(text, made), key.Inline(text, made)
	return files
}

// writeParagraph writes a package as the index has it: its control file, and where its
// file is. SHA-256 is the only sum, since apt trusts no weaker one.
func writeParagraph(b *bytes.Buffer, c parcel.Control, e Entry) {
	for _, f := range c {
		switch strings.ToLower(f.Name) {
		case "filename", "size", "md5sum", "sha1", "sha256", "sha512":
			continue // not for the package to say
		}
		fmt.Fprintf(b, "%s: %s\n", f.Name, f.Value)
	}
	fmt.Fprintf(b, "Filename: pool/main/%s\nSize: %d\nSHA256: %s\n\n", e.place(), e.Size, strings.TrimPrefix(e.Digest, "sha256:"))
}

func zipped(b []byte) []byte {
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	zip.Write(b) // a buffer takes everything
	zip.Close()
	return out.Bytes()
}
