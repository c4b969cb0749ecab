// Package registry keeps container images and whatever else people push as the Open
// Container Initiative specifies it (distribution-spec 1.1), beside what pipelines
// built. Package api/registry speaks its protocol.
//
// Contents lie in the OCI image layout that package artifact keeps too, named by
// their digests, and once for all repositories:
//
//	blobs/ALGORITHM/HEX   manifests, configs and layers; sha256 or sha512
//	uploads/ID            what is on its way; it goes on after a restart
//	trash/ALGORITHM-HEX   what is just being removed
//
// Which manifests and tags a repository has, and what each manifest needs, is in the
// database. A file is on disk, complete and under its final name, before a row names
// it, and a row is gone before its file is. What a crash leaves in between is a file
// that nothing needs, and the next collection takes it.
//
// Repositories are named by their pushes. One that has the name of a service holds
// the versions that Steer built of it, as tags like b12, which nobody else can make,
// move or delete.
package registry

import (
	"encoding/json"
	"time"

	"steer/base/config"
	"steer/base/fault"
	"steer/base/id"
)

// Config is what operators may set.
type Config struct {
	MaxBlobMB     int             `yaml:"max_blob_mb" default:"16384" doc:"Largest layer that may be pushed, in MiB."`
	MaxUploads    int             `yaml:"max_uploads" default:"200" doc:"Layers that may be on their way at a time."`
	UploadExpires config.Duration `yaml:"upload_expires" default:"1h" doc:"Time without a byte after which an upload is given up."`
	KeepFreeMB    int             `yaml:"keep_free_mb" default:"512" doc:"Space on the disk that pushes leave to everything else, in MiB."`
	KeepUntagged  config.Duration `yaml:"keep_untagged" default:"0s" doc:"How long an image stays that no tag names any more; 0s: for ever."`
}

// Check says what is wrong with the configuration.
func (c Config) Check() error {
	switch {
	case c.MaxBlobMB < 1:
		return fault.New(fault.Invalid, "max_blob_mb: %d is too little (use at least 1)", c.MaxBlobMB)
	case c.MaxUploads < 1:
		return fault.New(fault.Invalid, "max_uploads: %d is too little (use at least 1)", c.MaxUploads)
	case c.UploadExpires.Std() < time.Minute:
		return fault.New(fault.Invalid, "upload_expires: %s is too short (use at least 1m)", c.UploadExpires)
	case c.KeepFreeMB < 0:
		return fault.New(fault.Invalid, "keep_free_mb: %d is less than nothing", c.KeepFreeMB)
	case c.KeepUntagged < 0 || c.KeepUntagged > 0 && c.KeepUntagged.Std() < time.Hour:
		return fault.New(fault.Invalid, "keep_untagged: %s is too short (use at least 1h, or 0s for ever)", c.KeepUntagged)
	}
	return nil
}

// MaxManifest is the largest manifest that is taken, in bytes.
const MaxManifest = 4 << 20

// Descriptor points at content, as the image-spec has it.
type Descriptor struct {
	MediaType    string          `json:"mediaType"`
	Digest       Digest          `json:"digest"`
	Size         int64           `json:"size"`
	ArtifactType string          `json:"artifactType,omitempty"`
	Annotations  json.RawMessage `json:"annotations,omitempty"`
	URLs         []string        `json:"urls,omitempty"`
}

// Manifest is a manifest as it was pushed.
type Manifest struct {
	Digest    Digest
	MediaType string
	Subject   Digest // what it refers to, or ""
	Body      []byte
}

// Repository is what a repository has.
type Repository struct {
	Name    string    `json:"name"`
	Tags    int       `json:"tags"`
	Images  int       `json:"images"` // manifests, also those without a tag
	Updated time.Time `json:"updated"`
}

// Tag is a name of a manifest.
type Tag struct {
	Tag     string    `json:"tag"`
	Digest  Digest    `json:"digest"`
	Type    string    `json:"type"`  // artifact type, or media type of the manifest
	Size    int64     `json:"size"`  // of the manifest and all that it names, in bytes
	Built   bool      `json:"built"` // by Steer
	Updated time.Time `json:"updated"`
	Actor   id.Person `json:"actor"`
}
