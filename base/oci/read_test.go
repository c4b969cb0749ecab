package oci

import (
	"encoding/json"
	"io/fs"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"steer/base/fault"
)

// folder is an image layout in memory.
type folder struct {
	t *testing.T
	fstest.MapFS
}

func (f folder) put(name string, v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		f.t.Fatal(err)
	}
	f.MapFS[name] = &fstest.MapFile{Data: data}
	return data
}

func (f folder) blob(mediaType string, v any) Descriptor {
	data, err := json.Marshal(v)
	if err != nil {
		f.t.Fatal(err)
	}
	d := Descriptor{MediaType: mediaType, Digest: DigestOf(data), Size: int64(len(data))}
	file, err := BlobPath(d.Digest)
	if err != nil {
		f.t.Fatal(err)
	}
	f.put(file, v)
	return d
}

// image puts one with a word in its configuration.
func (f folder) image(word, os, architecture string) Descriptor {
	config := f.blob(TypeConfig, Config{OS: os, Architecture: architecture, Config: Running{User: word}})
	d := f.blob(TypeManifest, Manifest{SchemaVersion: 2, Config: config, Layers: []Descriptor{f.blob(TypeLayerGzip, word)}})
	if os != "" {
		d.Platform = &Platform{Architecture: architecture, OS: os}
	}
	return d
}

func TestRead(t *testing.T) {
	here := runtime.GOARCH
	for name, c := range map[string]struct {
		make func(f folder) []Descriptor // what index.json lists
		want string                      // the word of the image, or, after a !, the error
	}{
		"one, whatever it is for": {func(f folder) []Descriptor { return []Descriptor{f.image("one", "linux", "other")} }, "one"},
		"this machine's": {func(f folder) []Descriptor {
			return []Descriptor{f.image("far", "linux", "other"), f.image("windows", "windows", here), f.image("near", "linux", here), f.image("about", "unknown", "unknown")}
		}, "near"},
		"one with something about it": {func(f folder) []Descriptor {
			return []Descriptor{f.image("one", "", ""), f.image("about", "unknown", "unknown")}
		}, "one"},
		"one with two names": {func(f folder) []Descriptor { return []Descriptor{f.image("one", "", ""), f.image("one", "", "")} }, "one"},
		"indexes in indexes": {func(f folder) []Descriptor {
			in := f.blob(TypeDockerIndex, Index{Manifests: []Descriptor{f.image("far", "linux", "other"), f.image("near", "linux", here)}})
			return []Descriptor{f.blob(TypeIndex, Index{Manifests: []Descriptor{in}})}
		}, "near"},
		"an index in itself, nearly": {func(f folder) []Descriptor {
			d := f.image("deep", "", "")
			for range 9 {
				d = f.blob(TypeIndex, Index{Manifests: []Descriptor{d}})
			}
			return []Descriptor{d}
		}, "!leads to no image"},
		"two": {func(f folder) []Descriptor { return []Descriptor{f.image("one", "", ""), f.image("two", "", "")} }, "!it holds 2 images, and none of them says that it is for linux/" + here},
		"damaged": {func(f folder) []Descriptor {
			d := f.image("one", "", "")
			file, _ := BlobPath(d.Digest)
			f.MapFS[file] = &fstest.MapFile{Data: []byte("{}")}
			return []Descriptor{d}
		}, "!is damaged"},
		"gone":      {func(f folder) []Descriptor { return []Descriptor{{Digest: DigestOf(nil)}} }, "!file does not exist"},
		"elsewhere": {func(f folder) []Descriptor { return []Descriptor{{Digest: "sha256:../../../etc/passwd"}} }, "!no digest that is understood"},
	} {
		f := folder{t, fstest.MapFS{}}
		f.put("index.json", Index{SchemaVersion: 2, Manifests: c.make(f)})
		i, err := Read(f)
		if want, bad := strings.CutPrefix(c.want, "!"); bad {
			of := fault.Invalid
			if strings.HasPrefix(want, "it holds") {
				of = fault.NotFound
			}
			if err == nil || fault.Of(err) != of || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		var got Config
		if err == nil {
			err = json.Unmarshal(i.Config, &got)
		}
		if err != nil || got.Config.User != c.want || i.Manifest.MediaType != TypeManifest {
			t.Errorf("%s: %+v, %v", name, i.Manifest, err)
			continue
		}
		if len(i.Files) != 1 {
			t.Errorf("%s: %q", name, i.Files)
		} else if layer, err := fs.ReadFile(f, i.Files[0]); err != nil || string(layer) != `"`+c.want+`"` {
			t.Errorf("%s: the layer is %s, %v", name, layer, err)
		}
	}
}

func TestReadSaved(t *testing.T) {
	f := folder{t, fstest.MapFS{"a/layer.tar": {Data: []byte("one")}, "b.tar": {Data: []byte("three")}}}
	if _, err := Read(f); fault.Of(err) != fault.Invalid || !strings.Contains(err.Error(), "neither an OCI image layout") {
		t.Error(err)
	}
	config := f.put("c.json", Config{OS: "linux"})
	one := Saved{Config: "c.json", RepoTags: []string{"shop:1"}, Layers: []string{"a/layer.tar", "./b.tar"}}
	f.put("manifest.json", []Saved{one})
	i, err := Read(f)
	if err != nil || i.Text != nil || string(i.Config) != string(config) || !slices.Equal(i.Files, []string{"a/layer.tar", "b.tar"}) {
		t.Errorf("%+v, %v", i, err)
	}
	if l := i.Manifest.Layers; len(l) != 2 || l[1].Size != 5 || l[1].MediaType != TypeLayer || l[1].Digest != "" {
		t.Errorf("layers %+v", l)
	}
	for want, all := range map[string][]Saved{
		"it holds 2 images": {one, one},
		"it holds 0 images": {},
		"../c.json":         {{Config: "../c.json"}},
		"does not exist":    {{Config: "c.json", Layers: []string{"no.tar"}}},
	} {
		f.put("manifest.json", all)
		if _, err := Read(f); fault.Of(err) != fault.Invalid || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
