package registry

import (
	"errors"
	"net/http"

	"steer/base/fault"
)

// Codes of errors in the distribution-spec, and UNAVAILABLE for what is our trouble.
const (
	BlobUnknown         = "BLOB_UNKNOWN"
	BlobUploadInvalid   = "BLOB_UPLOAD_INVALID"
	BlobUploadUnknown   = "BLOB_UPLOAD_UNKNOWN"
	DigestInvalid       = "DIGEST_INVALID"
	ManifestBlobUnknown = "MANIFEST_BLOB_UNKNOWN"
	ManifestInvalid     = "MANIFEST_INVALID"
	ManifestUnknown     = "MANIFEST_UNKNOWN"
	NameInvalid         = "NAME_INVALID"
	NameUnknown         = "NAME_UNKNOWN"
	SizeInvalid         = "SIZE_INVALID"
	Unauthorized        = "UNAUTHORIZED"
	Denied              = "DENIED"
	Unsupported         = "UNSUPPORTED"
	TooManyRequests     = "TOOMANYREQUESTS"
	Unavailable         = "UNAVAILABLE"
)

// failure is an error that has a code.
type failure struct {
	code   string
	status int
	error
}

func (f *failure) Unwrap() error { return f.error }

// Fail makes an error with a code and an HTTP status.
func Fail(code string, status int, format string, args ...any) error {
	kind := fault.OfStatus(status)
	if status == http.StatusInsufficientStorage {
		kind = fault.Unavailable
	}
	return &failure{code, status, fault.New(kind, format, args...)}
}

// Failure is the code and the HTTP status of an error.
func Failure(err error) (code string, status int) {
	var f *failure
	if errors.As(err, &f) {
		return f.code, f.status
	}
	kind := fault.Of(err)
	code = map[fault.Kind]string{
		fault.Invalid: Unsupported, fault.NotFound: NameUnknown, fault.Conflict: Denied, fault.Denied: Denied,
		fault.Anonymous: Unauthorized, fault.TooMuch: TooManyRequests,
	}[kind]
	if code == "" {
		code = Unavailable
	}
	return code, kind.Status()
}
