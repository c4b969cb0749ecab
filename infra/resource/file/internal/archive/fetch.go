package archive

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"io"
	"net/http"
	"os"
	"path"
	"strings"
	"time"

	"steer/base/fault"
)

// Bounds of a download.
const (
	largestDownload = 8 << 30
	downloadWithin  = time.Hour
)

// fetch opens the archive, of which the checksum is right.
func (a *Archive) fetch(ctx context.Context, root *os.Root, work string) (*os.File, error) {
	if path.IsAbs(a.From) {
		f, err := os.Open(a.From)
		if err == nil && a.SHA256 != "" {
			sum := sha256.New()
			if _, err = io.Copy(sum, f); err == nil {
				err = a.verify(sum.Sum(nil))
			}
			if err == nil {
				_, err = f.Seek(0, io.SeekStart)
			}
			if err != nil {
				f.Close()
			}
		}
		return f, err
	}
	f, err := root.OpenFile(work+"/archive", os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	sum := sha256.New()
	into := io.MultiWriter(f, sum)
	if a.remote() {
		err = download(ctx, a.From, into)
	} else {
		_, err = io.Copy(into, base64.NewDecoder(base64.StdEncoding, strings.NewReader(a.Data)))
	}
	if err == nil {
		err = a.verify(sum.Sum(nil))
	}
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func (a *Archive) verify(sum []byte) error {
	if is := hex.EncodeToString(sum); is != a.SHA256 {
		return fault.New(fault.Invalid, "its SHA-256 is %s, and declared is %s (it is another archive, or was tampered with)", is, a.SHA256)
	}
	return nil
}

// download gets a URL.
func download(ctx context.Context, from string, into io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, downloadWithin)
	defer cancel()
	t := http.DefaultTransport.(*http.Transport).Clone()
	defer t.CloseIdleConnections()
	t.DisableCompression = true // the checksum is over what is stored there
	t.ResponseHeaderTimeout = time.Minute
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return fault.New(fault.Invalid, "%w", err)
	}
	response, err := (&http.Client{Transport: t}).Do(request)
	if err != nil {
		return fault.New(fault.Unavailable, "%w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fault.New(fault.Unavailable, "the server answers %s", response.Status)
	}
	n, err := io.Copy(into, io.LimitReader(response.Body, largestDownload+1))
	if err != nil {
		return fault.New(fault.Unavailable, "after %d bytes: %w", n, err)
	}
	if n > largestDownload {
		return fault.New(fault.TooMuch, "it has more than %d GiB", largestDownload>>30)
	}
	return nil
}
