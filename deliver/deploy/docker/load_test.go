package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"steer/base/fault"
	"steer/base/id"
	"steer/base/oci"
	"steer/deliver/deploy/deploytest"
)

// pack is a tar of one file, or of what docker load takes.
func pack(t *testing.T, files ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	out := tar.NewWriter(&b)
	for i := 0; i < len(files); i += 2 {
		if err := out.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: files[i], Mode: 0o755, Size: int64(len(files[i+1]))}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(out, files[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func text(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// An engine gets the layers of an image that it has not yet; one that wants all gets all.
func TestOnlyLayersThatAreMissingAreLoaded(t *testing.T) {
	need(t)
	t.Parallel()
	d := open(t, t.TempDir(), id.New())
	unique := id.New() // no other test has these layers
	var sent []int
	refuse := false
	words := map[string][]string{} // in the layers, by digest
	d.o.Image = func(_ context.Context, digest string) (string, []string, func(io.Writer, string, int) error, error) {
		var layers, diffs []string
		for _, word := range words[digest] {
			layers = append(layers, string(pack(t, word, unique)))
			diffs = append(diffs, oci.DigestOf([]byte(layers[len(layers)-1])))
		}
		config := text(t, oci.Config{OS: "linux", Architecture: "amd64", RootFS: oci.RootFS{Type: "layers", DiffIDs: diffs}})
		return oci.DigestOf([]byte(config)), diffs, func(w io.Writer, name string, without int) error {
			sent = append(sent, len(layers)-without)
			if refuse && without > 0 {
				_, err := w.Write(pack(t, "manifest.json", "{"))
				return err
			}
			files := []string{"config.json", config}
			names := slices.Clone(layers)
			for i, l := range layers {
				if names[i] = "layer" + string(rune('0'+i)); i >= without {
					files = append(files, names[i], l)
				}
			}
			files = append(files, "manifest.json", text(t, []oci.Saved{{Config: "config.json", RepoTags: []string{name}, Layers: names}}))
			_, err := w.Write(pack(t, files...))
			return err
		}, nil
	}
	var all []func()
	load := func(image string, want ...int) {
		t.Helper()
		digest := oci.DigestOf([]byte(image))
		words[digest] = strings.Fields(image)
		sent = nil
		s := deploytest.Spec("n1")
		s.Kind, s.Service, s.Digest = kindImage, id.Service("layers-"+strings.ToLower(unique)), digest
		i, release, err := d.image(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, release)
		t.Cleanup(release)
		if !slices.Equal(sent, want) {
			t.Errorf("%s: loads of %v layers, want %v", image, sent, want)
		}
		// Each layer is there with what is in it.
		if err := d.probe(t.Context(), i.id, "", func(made string) error {
			for _, word := range words[digest] {
				r, err := d.engine.open(t.Context(), "GET", "/containers/"+made+"/archive", values("path", "/"+word), nil, "")
				if err != nil {
					return err
				}
				in := tar.NewReader(r.Body)
				_, err = in.Next()
				got, err2 := io.ReadAll(in)
				if err = errors.Join(err, err2, r.Body.Close()); err != nil || string(got) != unique {
					t.Errorf("%s: %s is %q, %v", image, word, got, err)
				}
			}
			return nil
		}); err != nil {
			t.Error(err)
		}
	}
	load("base middle one", 3)
	load("base middle two", 1)
	load("base other two three", 3) // layers above another one are others
	refuse = true
	load("base other four", 1, 3)
	for _, release := range all {
		release()
	}
	if err := d.forget(t.Context()); err != nil {
		t.Fatal(err)
	}
	refuse = false
	load("base middle one", 3)
	// What is wrong with the whole image is told.
	d.o.Image = func(context.Context, string) (string, []string, func(io.Writer, string, int) error, error) {
		return oci.DigestOf(nil), nil, func(io.Writer, string, int) error { return fault.New(fault.NotFound, "a layer is gone") }, nil
	}
	s := deploytest.Spec("n1")
	s.Kind, s.Digest = kindImage, "sha256:"+unique
	if _, _, err := d.image(t.Context(), s); fault.Of(err) != fault.NotFound || !strings.Contains(err.Error(), "a layer is gone") {
		t.Error(err)
	}
}
