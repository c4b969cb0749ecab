package stream

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"steer/base/event"
	"steer/base/fault"
)

// The stream that holds a copy of the journal. An event of type T has the
// subject "steer.events.T", the JSON of a CloudEvent as its payload, its id as
// Nats-Msg-Id, and its place in the journal in the header Steer-Seq.
const (
	EventsName    = "EVENTS"
	EventsSubject = "steer.events."
	SeqHeader     = "Steer-Seq"

	eventsBytes = 1 << 30 // then the oldest go; the journal has them all
)

// Journal is what the relay copies from.
type Journal interface {
	Subscribe(ctx context.Context, after int64, f func(event.Event) error) error
	Get(ctx context.Context, id string) (event.Event, error)
}

// RelayOptions are what a relay needs.
type RelayOptions struct {
	Stream   *Stream
	Journal  Journal
	Replicas int // copies that an external cluster keeps; default 1
	Log      *slog.Logger
}

// Relay publishes every event of the journal, once and in order.
//
// It keeps no position of its own. The last message of the stream says where to
// go on, so position and content cannot differ, also after a power failure that
// took the last second of the stream. Each publish names the message it must
// follow, so of several servers that relay one journal to one cluster only one
// succeeds with each event, and the others read the position again.
type Relay struct {
	o      RelayOptions
	log    *slog.Logger
	stream jetstream.Stream
}

// NewRelay makes the stream, or changes it to what this version wants.
func NewRelay(ctx context.Context, o RelayOptions) (*Relay, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	s, err := o.Stream.js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name: EventsName, Description: "Copy of Steer's journal", Subjects: []string{EventsSubject + ">"},
		Storage: jetstream.FileStorage, Discard: jetstream.DiscardOld, Replicas: cmp.Or(o.Replicas, 1),
		// By size and not by age: then the last message, which holds the
		// position, always stays.
		MaxBytes: eventsBytes,
	})
	if err != nil {
		return nil, fmt.Errorf("open stream %s: %w", EventsName, err)
	}
	return &Relay{o: o, log: cmp.Or(o.Log, slog.Default()), stream: s}, nil
}

// Run relays until ctx ends. While the stream does not answer, it tries again.
func (r *Relay) Run(ctx context.Context) error {
	away := false
	for ctx.Err() == nil {
		err := r.relay(ctx, func() {
			if away {
				r.log.Info("stream: events are relayed again")
			}
			away = false
		})
		if err == nil || ctx.Err() != nil {
			break
		}
		var conflict *jetstream.APIError
		if errors.As(err, &conflict) && conflict.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence {
			continue // another server relayed this event
		}
		if !away {
			r.log.Error("stream: cannot relay events, trying again each second", "error", err)
		}
		away = true
		t := time.NewTimer(time.Second)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
		}
	}
	return nil
}

// relay publishes from where the stream ends until something fails.
func (r *Relay) relay(ctx context.Context, published func()) error {
	after, last, err := r.position(ctx)
	if err != nil {
		return err
	}
	return r.o.Journal.Subscribe(ctx, after, func(e event.Event) error {
		m, err := message(e)
		if err != nil {
			return err
		}
		one, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		ack, err := r.o.Stream.js.PublishMsg(one, m, jetstream.WithMsgID(e.ID), jetstream.WithExpectLastSequence(last))
		if err != nil {
			return fmt.Errorf("publish event %s (number %d): %w", e.ID, e.Seq, err)
		}
		if !ack.Duplicate {
			last = ack.Sequence
		}
		published()
		return nil
	})
}

// position returns the Seq of the newest event in the stream, and the number of
// the stream's last message. Messages that the journal does not know are passed
// over: they are there after the journal was restored from an older backup.
func (r *Relay) position(ctx context.Context) (after int64, last uint64, err error) {
	one, cancel := context.WithTimeout(ctx, patience)
	info, err := r.stream.Info(one)
	cancel()
	if err != nil {
		return 0, 0, fmt.Errorf("read stream %s: %w", EventsName, err)
	}
	last = info.State.LastSeq
	unknown := 0
	for n := last; n >= max(1, info.State.FirstSeq) && info.State.Msgs > 0; n-- {
		one, cancel := context.WithTimeout(ctx, patience)
		m, err := r.stream.GetMsg(one, n)
		cancel()
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		if err != nil {
			return 0, 0, fmt.Errorf("read message %d of stream %s: %w", n, EventsName, err)
		}
		e, err := r.o.Journal.Get(ctx, m.Header.Get(nats.MsgIdHdr))
		if err != nil && fault.Of(err) != fault.NotFound {
			return 0, 0, err
		}
		if err == nil && m.Header.Get(SeqHeader) == strconv.FormatInt(e.Seq, 10) {
			after = e.Seq
			break
		}
		unknown++
	}
	if unknown > 0 {
		r.log.Warn("stream: it holds events that the journal does not (was the database restored?); going on after the newest that both have",
			"events", unknown, "seq", after)
	}
	return after, last, nil
}

// message makes the CloudEvent in structured JSON.
func message(e event.Event) (*nats.Msg, error) {
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false) // it may make Data six times as long, and longer than a message may be
	err := encoder.Encode(struct {
		SpecVersion string `json:"specversion"`
		event.Event
	}{"1.0", e})
	if err != nil {
		return nil, fmt.Errorf("encode event %s: %w", e.ID, err)
	}
	m := nats.NewMsg(EventsSubject + subject(e.Type))
	m.Data = bytes.TrimSuffix(body.Bytes(), []byte("\n"))
	m.Header.Set("Content-Type", "application/cloudevents+json")
	m.Header.Set(SeqHeader, strconv.FormatInt(e.Seq, 10))
	return m, nil
}

// subject makes any type usable in a subject: an odd one must not stop the relay.
func subject(typ string) string {
	parts := strings.Split(strings.Map(func(c rune) rune {
		if c <= ' ' || c == '*' || c == '>' || c == 0x7f {
			return '_'
		}
		return c
	}, typ), ".")
	for i, p := range parts {
		parts[i] = cmp.Or(p, "_")
	}
	return strings.Join(parts, ".")
}
