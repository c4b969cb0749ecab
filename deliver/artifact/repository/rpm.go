package repository

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"strings"
	"time"

	"steer/deliver/artifact/internal/openpgp"
	"steer/deliver/artifact/internal/parcel"
)

// rpm makes the files of repodata/: lists whose names begin with their digest, and
// repomd.xml, which names them. Their form is what createrepo_c writes and its schemas
// describe.
func (r *Repository) rpm(list []Entry, made time.Time, key *openpgp.Key) map[string][]byte {
	var primary, filelists, other bytes.Buffer
	var n int
	for _, e := range list {
		if e.Kind == parcel.RPM {
			a := r.known[e.Digest].rpm
			writePrimary(&primary, a, e)
			writeFiles(&filelists, a, e)
			fmt.Fprintf(&other, "<package%s>%s</package>\n", identity(a, e), versionOf(a))
			n++
		}
	}
	files := map[string][]byte{}
	var md bytes.Buffer
	fmt.Fprintf(&md, xml.Header+"<repomd xmlns=\"http://linux.duke.edu/metadata/repo\">\n<revision>%d</revision>\n", made.Unix())
	for _, l := range []struct {
		name, root, space string
		body              bytes.Buffer
	}{
		{"primary", "metadata", `xmlns="http://linux.duke.edu/metadata/common" xmlns:rpm="http://linux.duke.edu/metadata/rpm"`, primary},
		{"filelists", "filelists", `xmlns="http://linux.duke.edu/metadata/filelists"`, filelists},
		{"other", "otherdata", `xmlns="http://linux.duke.edu/metadata/other"`, other},
	} {
		plain := fmt.Appendf(nil, xml.Header+"<%s %s packages=\"%d\">\n%s</%[1]s>\n", l.root, l.space, n, l.body.Bytes())
		zip := zipped(plain)
		name := digest(zip) + "-" + l.name + ".xml.gz"
		files[name] = zip
		fmt.Fprintf(&md, "<data type=%q><checksum type=\"sha256\">%s</checksum><open-checksum type=\"sha256\">%s</open-checksum>"+
			"<location href=\"repodata/%s\"/><timestamp>%d</timestamp><size>%d</size><open-size>%d</open-size></data>\n",
			l.name, digest(zip), digest(plain), name, made.Unix(), len(zip), len(plain))
	}
	md.WriteString("</repomd>\n")
	files["repomd.xml"], files["repomd.xml.asc"] = md.Bytes(), key.Armoured(md.Bytes(), made)
	return files
}

// text escapes what packages say of themselves.
func text(s string) string {
	var b strings.Builder
	xml.EscapeText(&b, []byte(s)) // a builder takes everything
	return b.String()
}

func identity(a parcel.About, e Entry) string {
	return fmt.Sprintf(` pkgid="%s" name="%s" arch="%s"`, strings.TrimPrefix(e.Digest, "sha256:"), text(a.Name), text(a.Architecture))
}

func versionOf(a parcel.About) string {
	return fmt.Sprintf(`<version epoch="%s" ver="%s" rel="%s"/>`, a.Epoch, text(a.Version), text(a.Release))
}

func writePrimary(b *bytes.Buffer, a parcel.About, e Entry) {
	fmt.Fprintf(b, "<package type=\"rpm\"><name>%s</name><arch>%s</arch>%s", text(a.Name), text(a.Architecture), versionOf(a))
	fmt.Fprintf(b, "<checksum type=\"sha256\" pkgid=\"YES\">%s</checksum>", strings.TrimPrefix(e.Digest, "sha256:"))
	fmt.Fprintf(b, "<summary>%s</summary><description>%s</description><packager>%s</packager><url>%s</url>", text(a.Summary), text(a.Description), text(a.Packager), text(a.URL))
	fmt.Fprintf(b, "<time file=\"%d\" build=\"%d\"/><size package=\"%d\" installed=\"%d\" archive=\"%d\"/>", e.Created.Unix(), a.BuildTime, e.Size, a.Installed, a.Archive)
	fmt.Fprintf(b, "<location href=\"pool/%s\"/><format><rpm:license>%s</rpm:license><rpm:vendor>%s</rpm:vendor><rpm:group>%s</rpm:group>", text(e.place()), text(a.License), text(a.Vendor), text(a.Group))
	fmt.Fprintf(b, "<rpm:buildhost>%s</rpm:buildhost><rpm:sourcerpm>%s</rpm:sourcerpm><rpm:header-range start=\"%d\" end=\"%d\"/>", text(a.BuildHost), text(a.SourceRPM), a.HeaderStart, a.HeaderEnd)
	for _, l := range []struct {
		name string
		all  []parcel.Relation
	}{{"provides", a.Provides}, {"requires", a.Requires}, {"conflicts", a.Conflicts}, {"obsoletes", a.Obsoletes}} {
		if len(l.all) == 0 {
			continue
		}
		fmt.Fprintf(b, "<rpm:%s>", l.name)
		for _, x := range l.all {
			fmt.Fprintf(b, "<rpm:entry name=\"%s\"", text(x.Name))
			if x.Flags != "" {
				fmt.Fprintf(b, " flags=\"%s\" epoch=\"%s\" ver=\"%s\"", x.Flags, text(x.Epoch), text(x.Version))
				if x.Release != "" {
					fmt.Fprintf(b, " rel=\"%s\"", text(x.Release))
				}
			}
			b.WriteString("/>")
		}
		fmt.Fprintf(b, "</rpm:%s>", l.name)
	}
	for _, f := range a.Files { // those that other packages ask for by their path
		if strings.HasPrefix(f.Path, "/etc/") || strings.Contains(f.Path, "bin/") || f.Path == "/usr/lib/sendmail" {
			writeFile(b, f)
		}
	}
	b.WriteString("</format></package>\n")
}

func writeFiles(b *bytes.Buffer, a parcel.About, e Entry) {
	fmt.Fprintf(b, "<package%s>%s", identity(a, e), versionOf(a))
	for _, f := range a.Files {
		writeFile(b, f)
	}
	b.WriteString("</package>\n")
}

func writeFile(b *bytes.Buffer, f parcel.Listed) {
	kind := ""
	if f.Folder {
		kind = ` type="dir"`
	}
	fmt.Fprintf(b, "<file%s>%s</file>", kind, text(f.Path))
}
