// Package oci has the forms of container images as the Open Container Initiative
// specifies them (image-spec 1.1), and reads an image that somebody else made.
//
// Who keeps or sends images, and what they are for, is not known here.
package oci

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"steer/base/fault"
)

// Media types. Those of Docker mean the same.
const (
	TypeIndex       = "application/vnd.oci.image.index.v1+json"
	TypeManifest    = "application/vnd.oci.image.manifest.v1+json"
	TypeConfig      = "application/vnd.oci.image.config.v1+json"
	TypeLayer       = "application/vnd.oci.image.layer.v1.tar"
	TypeLayerGzip   = TypeLayer + "+gzip"
	TypeDockerIndex = "application/vnd.docker.distribution.manifest.list.v2+json"
	TypeDockerImage = "application/vnd.docker.distribution.manifest.v2+json"
)

// Descriptor points at a blob.
type Descriptor struct {
	MediaType    string            `json:"mediaType"`
	ArtifactType string            `json:"artifactType,omitempty"`
	Digest       string            `json:"digest"`
	Size         int64             `json:"size"` // bytes
	Platform     *Platform         `json:"platform,omitempty"`
	Annotations  map[string]string `json:"annotations,omitempty"`
}

// Platform is what an image runs on, in Go's words.
type Platform struct {
	Architecture string `json:"architecture"`
	OS           string `json:"os"`
}

// Manifest says what an image consists of.
type Manifest struct {
	SchemaVersion int               `json:"schemaVersion"`
	MediaType     string            `json:"mediaType"`
	ArtifactType  string            `json:"artifactType,omitempty"`
	Config        Descriptor        `json:"config"`
	Layers        []Descriptor      `json:"layers"`
	Annotations   map[string]string `json:"annotations,omitempty"`
}

// Index is a list of manifests.
type Index struct {
	SchemaVersion int               `json:"schemaVersion"`
	MediaType     string            `json:"mediaType"`
	Manifests     []Descriptor      `json:"manifests"`
	Annotations   map[string]string `json:"annotations,omitempty"`
}

// Config says how an image is run, and what its layers are when they are unpacked.
type Config struct {
	Created      string    `json:"created,omitempty"` // RFC 3339
	Architecture string    `json:"architecture"`
	OS           string    `json:"os"`
	Config       Running   `json:"config"`
	RootFS       RootFS    `json:"rootfs"`
	History      []History `json:"history,omitempty"`
}

// Running is how an image is run. The names are those of Docker.
type Running struct {
	User         string              `json:"User,omitempty"`
	ExposedPorts map[string]struct{} `json:"ExposedPorts,omitempty"`
	Env          []string            `json:"Env,omitempty"` // NAME=VALUE
	Entrypoint   []string            `json:"Entrypoint,omitempty"`
	Cmd          []string            `json:"Cmd,omitempty"`
	Volumes      map[string]struct{} `json:"Volumes,omitempty"`
	WorkingDir   string              `json:"WorkingDir,omitempty"`
	Labels       map[string]string   `json:"Labels,omitempty"`
	StopSignal   string              `json:"StopSignal,omitempty"`
}

// RootFS has the digests of the layers when they are unpacked, lowest first.
type RootFS struct {
	Type    string   `json:"type"` // layers
	DiffIDs []string `json:"diff_ids"`
}

// History says where a layer came from.
type History struct {
	Created   string `json:"created,omitempty"` // RFC 3339
	CreatedBy string `json:"created_by,omitempty"`
	Empty     bool   `json:"empty_layer,omitempty"` // there is no layer
}

// Saved is an image in manifest.json, which docker save writes and docker load takes: the
// names of files beside it.
type Saved struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// DigestOf is the digest of a small blob.
func DigestOf(blob []byte) string {
	sum := sha256.Sum256(blob)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// BlobPath is where an image layout has a blob. It is fault.Invalid with anything but a
// digest by SHA-256 in lower case.
func BlobPath(digest string) (string, error) {
	hexed, ok := strings.CutPrefix(digest, "sha256:")
	if !ok || len(hexed) != 2*sha256.Size || strings.Trim(hexed, "0123456789abcdef") != "" {
		return "", fault.New(fault.Invalid, "%.100q is no digest that is understood (sha256: and 64 hexadecimal digits in lower case)", digest)
	}
	return "blobs/sha256/" + hexed, nil
}
