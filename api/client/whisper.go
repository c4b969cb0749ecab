package client

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"steer/monitor/store/whisper"
)

// The records of an import of Whisper files.
type (
	Import = whisper.Summary
	Skip   = whisper.Skip
)

// LargestWhisperFile is how many bytes a file may have that the server takes.
const LargestWhisperFile = whisper.LargestFile

// ImportWhisper sends a tar stream of Whisper files, and returns when the server has
// stored them all.
func (c *Client) ImportWhisper(ctx context.Context, tree io.Reader, prefix string, dryRun bool) (Import, error) {
	query := url.Values{"prefix": {prefix}, "dry_run": {strconv.FormatBool(dryRun)}}
	var out Import
	body, err := c.send(ctx, http.MethodPost, "/api/v1/store/whisper?"+query.Encode(), "application/x-tar", tree)
	if err != nil {
		return out, err
	}
	return out, decode(body, &out)
}

// ExportWhisper is a tar stream of Whisper files of the series that a Graphite glob
// matches.
func (c *Client) ExportWhisper(ctx context.Context, glob string) (io.ReadCloser, error) {
	return c.Open(ctx, http.MethodGet, "/api/v1/store/whisper?query="+url.QueryEscape(glob), nil)
}
