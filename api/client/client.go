// Package client speaks to a Steer server over its HTTP API.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"steer/base/fault"
)

// Client is safe for concurrent use.
type Client struct {
	base  *url.URL
	token string
	http  *http.Client
}

// New checks the server's address. The token may be empty where none is needed.
func New(server, token string) (*Client, error) {
	u, err := url.Parse(strings.TrimRight(server, "/"))
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fault.New(fault.Invalid, "server address %q: write http://HOST:PORT", server)
	}
	return &Client{base: u, token: token, http: &http.Client{}}, nil
}

// Server is the server's address.
func (c *Client) Server() string { return c.base.String() }

// Token is the access token.
func (c *Client) Token() string { return c.token }

// patience is how long an answer may take. It is more than the server gives a query.
const patience = 40 * time.Second

// Do sends a request and decodes the answer into out; in and out may be nil.
// Errors have the kind and the text that the server gave them.
func (c *Client) Do(ctx context.Context, method, path string, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	body, err := c.Open(ctx, method, path, in)
	if err != nil {
		return err
	}
	return decode(body, out)
}

func decode(body io.ReadCloser, out any) error {
	defer body.Close()
	if out == nil {
		_, err := io.Copy(io.Discard, body)
		return err
	}
	if err := json.NewDecoder(body).Decode(out); err != nil {
		return fault.New(fault.Internal, "read the server's answer: %w", err)
	}
	return nil
}

// Open sends a request and returns the body of a good answer, for streams.
func (c *Client) Open(ctx context.Context, method, path string, in any) (io.ReadCloser, error) {
	if in == nil {
		return c.send(ctx, method, path, "", nil)
	}
	b, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	return c.send(ctx, method, path, "application/json", bytes.NewReader(b))
}

func (c *Client) send(ctx context.Context, method, path, contentType string, body io.Reader) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base.String()+path, body)
	if err != nil {
		return nil, err
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	if body != nil && req.ContentLength <= 0 {
		req.Header.Set("Expect", "100-continue") // a refusal comes before a long stream is sent
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	res, err := c.http.Do(req)
	if err != nil {
		var wrong *url.Error
		if errors.As(err, &wrong) {
			err = wrong.Err // its text repeats the address
		}
		if errors.Is(err, context.DeadlineExceeded) {
			return nil, fault.New(fault.Unavailable, "no answer from the server at %s within %s (is this its HTTP port? another address: --server or STEER_SERVER)", c.base, patience)
		}
		return nil, fault.New(fault.Unavailable, "no answer from the server at %s: %w (is 'steer serve' running? another address: --server or STEER_SERVER)", c.base, err)
	}
	if res.StatusCode < 300 {
		return res.Body, nil
	}
	defer res.Body.Close()
	return nil, failure(res)
}

// failure reads the server's error.
func failure(res *http.Response) error {
	b, _ := io.ReadAll(io.LimitReader(res.Body, 64<<10))
	var problem struct {
		Detail string `json:"detail"`
		Errors []struct {
			Message  string `json:"message"`
			Location string `json:"location"`
		} `json:"errors"`
	}
	text := strings.TrimSpace(string(b))
	if json.Unmarshal(b, &problem) == nil && problem.Detail != "" {
		text = problem.Detail
		for _, e := range problem.Errors {
			text += fmt.Sprintf("; %s: %s", e.Location, e.Message)
		}
	} else if len(problem.Errors) > 0 && problem.Errors[0].Message != "" {
		text = problem.Errors[0].Message // as registries have it
	}
	if res.StatusCode == http.StatusUnauthorized {
		text += " (give a token with --token, STEER_TOKEN, or --data of a server on this machine)"
	}
	if text == "" {
		text = res.Status
	}
	return fault.New(fault.OfStatus(res.StatusCode), "%s", text)
}

// Get fetches one value.
func Get[T any](ctx context.Context, c *Client, path string, query url.Values) (T, error) {
	var out T
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	err := c.Do(ctx, http.MethodGet, path, nil, &out)
	return out, err
}

// Post sends a value and returns the answer.
func Post[T any](ctx context.Context, c *Client, path string, in any) (T, error) {
	var out T
	err := c.Do(ctx, http.MethodPost, path, in, &out)
	return out, err
}
