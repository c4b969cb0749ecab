// Package artifact keeps what pipelines built: one archive per version of a
// service, made once, never changed, and found again by version or by digest.
//
// The folder is an OCI image layout (image-spec 1.1), so any OCI tool reads it:
//
//	oci-layout            {"imageLayoutVersion":"1.0.0"}
//	index.json            one manifest descriptor per version; its annotation
//	                      org.opencontainers.image.ref.name is "catalog:b12"
//	blobs/sha256/<hex>    manifests, configs and archives, named by their content
//
// A manifest has the artifactType application/vnd.steer.artifact.v1+json. Its
// config (application/vnd.steer.provenance.v1+json) is a Provenance: the commit,
// the build, the stages that had passed and the steer.yaml of that commit. Its
// first layer (application/vnd.oci.image.layer.v1.tar+gzip) is the archive, which
// depends on nothing but names, contents, link targets and executable bits of
// the packed files: the same files give the same bytes. Layers after it are packages
// for hosts (.deb, .rpm), whose bytes depend on the time of the commit too.
//
// A version that is a container image is an image index instead. Its first manifest
// is the image, as any engine takes it; its second, for no platform, has that
// artifactType and the provenance.
//
// A file is on disk, complete and under its final name, before anything refers
// to it: blobs before the index, the index before the row in table artifact. New
// finishes what a crash left between two of these.
package artifact

import (
	"time"

	"steer/base/id"
	"steer/base/oci"
	"steer/catalog"
)

// Media types of what Steer stores.
const (
	TypeArtifact   = "application/vnd.steer.artifact.v1+json"
	TypeProvenance = "application/vnd.steer.provenance.v1+json"
	TypeArchive    = oci.TypeLayerGzip
)

// Artifact is one stored version of a service.
type Artifact struct {
	Service id.Service `json:"service"`
	Version id.Version `json:"version"`
	Digest  string     `json:"digest"` // of its manifest: "sha256:…"
	Size    int64      `json:"size"`   // of the compressed archive, in bytes
	Commit  string     `json:"commit,omitempty"`
	Created time.Time  `json:"created"`
	Chain   string     `json:"chain,omitempty"`
}

// Meta is what the maker of an artifact says about it.
type Meta struct {
	Service    id.Service        `json:"service"`
	Version    id.Version        `json:"version"`
	Commit     string            `json:"commit,omitempty"`
	Repository string            `json:"repository,omitempty"`
	Branch     string            `json:"branch,omitempty"`
	Author     string            `json:"author,omitempty"`
	Message    string            `json:"message,omitempty"`
	Committed  *time.Time        `json:"committed,omitempty"`
	Run        int64             `json:"run,omitempty"`   // of the pipeline
	Build      string            `json:"build,omitempty"` // command that made the files
	Stages     []Stage           `json:"stages,omitempty"`
	Manifest   *catalog.Manifest `json:"manifest,omitempty"` // steer.yaml of the commit
	Created    time.Time         `json:"created"`            // default: now
	Chain      string            `json:"chain,omitempty"`
	Actor      id.Person         `json:"-"` // whom the journal names; default: Steer itself
}

// Stage is the result of one pipeline stage that came before the packing.
type Stage struct {
	Name     string        `json:"name"`
	Command  string        `json:"command,omitempty"`
	ExitCode int           `json:"exit_code"`
	Took     time.Duration `json:"took_ns"`
	Tests    *Tests        `json:"tests,omitempty"`
}

// Tests counts what a stage's command reported.
type Tests struct {
	Unit    string `json:"unit"` // what was counted: tests or packages
	Passed  int    `json:"passed"`
	Failed  int    `json:"failed"`
	Skipped int    `json:"skipped"`
}

// Provenance is the config blob of an artifact: where it came from.
type Provenance struct {
	Meta
	Builder string   `json:"builder"`          // program that packed it: "steer"
	Content []string `json:"content"`          // names in the archive, sorted; the first 1000
	Files   int      `json:"files"`            // how many there are
	Bytes   int64    `json:"bytes"`            // unpacked
	Single  *Single  `json:"single,omitempty"` // when the artifact is one file, like a jar
}

// Single is the only file of an artifact.
type Single struct {
	Name   string `json:"name"`   // without folders
	Digest string `json:"digest"` // "sha256:…"
	Size   int64  `json:"size"`
}
