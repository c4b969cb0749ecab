package tour

import (
	"encoding/json"
	"net"
	"net/http"
	"sync"
	"time"
)

// receiver is the team's chat, so to say: it takes the webhook's messages.
type receiver struct {
	url    string
	server *http.Server

	mu   sync.Mutex
	seen []message
}

// message is what the tour reads of the webhook's body.
type message struct {
	Incident   int64  `json:"incident"`
	Transition string `json:"transition"` // opened, acknowledged, resolved
	Service    string `json:"service"`
	Version    string `json:"version"`
	Text       string `json:"text"`
	arrived    time.Time
}

func startReceiver() (*receiver, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &receiver{url: "http://" + listener.Addr().String() + "/"}
	r.server = &http.Server{Handler: r, ReadHeaderTimeout: 5 * time.Second}
	go r.server.Serve(listener)
	return r, nil
}

// ServeHTTP takes one message.
func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	m := message{arrived: time.Now()}
	if err := json.NewDecoder(http.MaxBytesReader(w, req.Body, 1<<20)).Decode(&m); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen = append(r.seen, m)
	w.WriteHeader(http.StatusNoContent)
}

// got returns the message about a transition of an incident.
func (r *receiver) got(incident int64, transition string) (message, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range r.seen {
		if m.Incident == incident && m.Transition == transition {
			return m, true
		}
	}
	return message{}, false
}

func (r *receiver) close() { r.server.Close() }
