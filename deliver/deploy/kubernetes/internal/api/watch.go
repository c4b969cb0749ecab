package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"time"

	"steer/base/fault"
)

// Times of a watch.
const (
	watchTime  = 5 * time.Minute // after which the server is asked anew
	firstPause = 200 * time.Millisecond
	lastPause  = 10 * time.Second
)

// object is what every object has.
type object struct {
	Meta struct {
		Version string `json:"resourceVersion"`
	} `json:"metadata"`
}

// event is one line of a watch.
type event struct {
	Type   string          `json:"type"` // ADDED, MODIFIED, DELETED, BOOKMARK, ERROR
	Object json.RawMessage `json:"object"`
}

// Follow keeps up with all objects of a kind that have the labels of selector, until
// ctx ends. all gets every one of them, first and whenever it is not known what
// happened meanwhile; one gets each change, with its type: ADDED, MODIFIED, DELETED.
// lost is told when the way to the API is cut, and why. Nothing is polled.
func Follow[T any](ctx context.Context, c *Client, kind, selector string, all func([]T), one func(typ string, o T), lost func(error)) {
	pause := firstPause
	for ctx.Err() == nil {
		began := time.Now()
		version, err := list(ctx, c, kind, selector, all)
		if err == nil {
			for err == nil && ctx.Err() == nil {
				version, err = watch(ctx, c, kind, selector, version, one)
			}
			if errors.Is(err, errGone) || fault.Of(err) == fault.Unavailable {
				err = nil // connections are cut every day; the list that follows tells whether more is wrong
			}
		}
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			lost(fmt.Errorf("list %s in namespace %s: %w", kind, c.Namespace(), err))
		}
		if time.Since(began) > lastPause {
			pause = firstPause
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause + rand.N(pause/4)): // many must not come at once
		}
		pause = min(2*pause, lastPause)
	}
}

// list reads all objects, page by page, and returns from where to watch.
func list[T any](ctx context.Context, c *Client, kind, selector string, all func([]T)) (version string, err error) {
	var got []T
	for next := ""; ; {
		var page struct {
			Meta struct {
				Version  string `json:"resourceVersion"`
				Continue string `json:"continue"`
			} `json:"metadata"`
			Items []T `json:"items"`
		}
		if err := c.Call(ctx, "GET", c.Path(kind), values("labelSelector", selector, "limit", "500", "continue", next), nil, &page); err != nil {
			return "", err
		}
		got, version, next = append(got, page.Items...), page.Meta.Version, page.Meta.Continue
		if next == "" {
			all(got)
			return version, nil
		}
	}
}

// watch passes on what changes after a version, until the server ends the answer.
func watch[T any](ctx context.Context, c *Client, kind, selector, version string, one func(string, T)) (string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, watchTime+patience, errSlow)
	defer cancel()
	began := time.Now()
	answer, err := c.Read(ctx, c.Path(kind), values("watch", "1", "labelSelector", selector, "resourceVersion", version,
		"allowWatchBookmarks", "true", "timeoutSeconds", strconv.Itoa(int(watchTime.Seconds()))))
	if err != nil {
		return version, err
	}
	defer answer.Close()
	for lines := json.NewDecoder(answer); ; {
		var e event
		if err := lines.Decode(&e); errors.Is(err, io.EOF) && time.Since(began) > time.Second {
			return version, nil
		} else if err != nil {
			return version, fault.New(fault.Unavailable, "watch: %w", err)
		}
		if e.Type == "ERROR" {
			var s status
			if err := json.Unmarshal(e.Object, &s); err != nil {
				return version, fault.New(fault.Unavailable, "watch: %w", err)
			}
			return version, s.fault("", c.Namespace())
		}
		var at object
		if err := json.Unmarshal(e.Object, &at); err != nil {
			return version, fault.New(fault.Unavailable, "watch: %w", err)
		}
		version = at.Meta.Version
		if e.Type == "BOOKMARK" {
			continue
		}
		var o T
		if err := json.Unmarshal(e.Object, &o); err != nil {
			return version, fault.New(fault.Unavailable, "watch: %w", err)
		}
		one(e.Type, o)
	}
}
