package deploy

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"path"
)

// AppFolder is where an archive lies in the image that it runs in.
const AppFolder = "app"

// Layer writes the files of an archive, a tar.gz, as a tar with them below AppFolder.
// For an empty image it adds the one folder that most programs expect. The same
// archive gives the same bytes.
func Layer(w io.Writer, archive io.Reader, empty bool) error {
	zip, err := gzip.NewReader(archive)
	if err != nil {
		return fmt.Errorf("it is damaged: %w", err)
	}
	in, out := tar.NewReader(zip), tar.NewWriter(w)
	folders := []*tar.Header{{Typeflag: tar.TypeDir, Name: AppFolder + "/", Mode: 0o755}}
	if empty {
		folders = append(folders, &tar.Header{Typeflag: tar.TypeDir, Name: "tmp/", Mode: 0o1777})
	}
	for _, h := range folders {
		if err := out.WriteHeader(h); err != nil {
			return err
		}
	}
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return out.Close()
		}
		if err != nil {
			return fmt.Errorf("it is damaged: %w", err)
		}
		h.Name = path.Join(AppFolder, h.Name)
		if h.Typeflag == tar.TypeDir {
			h.Name += "/"
		}
		if err := out.WriteHeader(h); err != nil {
			return err
		}
		if _, err := io.Copy(out, in); err != nil {
			return err
		}
	}
}
