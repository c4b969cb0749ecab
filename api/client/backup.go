package client

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"

	"steer/base/backup"
	"steer/base/fault"
	"steer/monitor/store"
)

// The records of a backup and of the metric store.
type (
	BackupSummary = backup.Summary
	Usage         = store.Usage
	Top           = store.Top
)

// Backup writes the archive of a new backup of the server, which is an admin's to
// take, and checks it against its manifest on the way. Tell, which may be nil,
// gets the name of each file as it begins. After an error, what was written is
// no backup.
func (c *Client) Backup(ctx context.Context, to io.Writer, tell func(name string)) (BackupSummary, error) {
	body, err := c.Open(ctx, http.MethodGet, "/api/v1/backup", nil)
	if err != nil {
		return BackupSummary{}, err
	}
	defer body.Close()
	out := &keeping{to: to}
	in := io.TeeReader(body, out)
	sum, err := backup.Verify(in, tell)
	if err == nil {
		_, err = io.Copy(io.Discard, in) // the filling at the end
	}
	switch {
	case out.err != nil:
		return sum, out.err
	case ctx.Err() != nil:
		return sum, ctx.Err()
	case errors.Is(err, io.ErrUnexpectedEOF):
		return sum, fault.New(fault.Unavailable, "the server broke the backup off (its log and 'steer events' say why): %w", err)
	}
	return sum, err
}

// keeping tells errors in writing from those in reading.
type keeping struct {
	to  io.Writer
	err error
}

func (k *keeping) Write(p []byte) (int, error) {
	n, err := k.to.Write(p)
	if err != nil {
		k.err = err
	}
	return n, err
}

// Usage is what the series that a Graphite glob matches take up in the metric
// store; "" is all.
func (c *Client) Usage(ctx context.Context, glob string) (Usage, error) {
	return Get[Usage](ctx, c, "/api/v1/store/stats", url.Values{"query": {glob}})
}
