package hosts

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"steer/base/fault"
	"steer/base/id"
	"steer/deliver/deploy"
)

// Nodes is what a keeper keeps running nodes with.
type Nodes interface {
	deploy.Driver
	// Bring has an artifact unpacked by unpack, unless it is there.
	Bring(ctx context.Context, digest string, unpack func(ctx context.Context, digest, dir string) error) error
	// Run works until ctx ends, and then stops all nodes until the next Run.
	Run(ctx context.Context) error
	// Close lets go of the nodes without stopping them.
	Close() error
}

// KeeperOptions is what the program on a host hands in.
type KeeperOptions struct {
	Settings
	Log *slog.Logger
	// Nodes opens the nodes below dir. unpack and secret are for it.
	Nodes func(dir string, unpack func(ctx context.Context, digest, dir string) error, secret func(e id.Environment, name string) (string, error)) (Nodes, error)
	// Extract puts the files of an archive into an empty folder.
	Extract func(ctx context.Context, archive io.Reader, dir string) error
}

// Keeper keeps nodes running on a host, whether anybody is connected or not. What it
// is told of secrets it keeps in memory only.
type Keeper struct {
	o     KeeperOptions
	id    string
	nodes Nodes
	stats *stats
	leave chan bool // true: with the nodes

	mu      sync.Mutex
	secrets map[string]told
}

// NewKeeper finds the nodes that there were.
func NewKeeper(o KeeperOptions) (*Keeper, error) {
	k := &Keeper{o: o, id: id.New(), leave: make(chan bool, 1), secrets: map[string]told{}}
	incoming := filepath.Join(o.Dir, "incoming")
	if err := errors.Join(os.RemoveAll(incoming), os.MkdirAll(incoming, 0o700)); err != nil {
		return nil, fmt.Errorf("nodes' folder: %w", err)
	}
	var err error
	if k.stats, err = newStats(filepath.Join(o.Dir, "statsd.port")); err != nil {
		return nil, err
	}
	if k.nodes, err = o.Nodes(filepath.Join(o.Dir, "nodes"), missing, k.secret); err != nil {
		k.stats.Close()
		return nil, err
	}
	return k, nil
}

// missing is how artifacts are unpacked that nobody has brought.
func missing(context.Context, string, string) error {
	return fault.New(fault.NotFound, "%w", errMissing)
}

func (k *Keeper) secret(e id.Environment, name string) (string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	s, ok := k.secrets[string(e)+"/"+name]
	switch {
	case !ok:
		return "", fault.New(fault.Unavailable, "secret %s is not known on this host until Steer is connected again", name)
	case s.Error != "":
		return "", fault.New(s.Kind, "%s", s.Error)
	}
	return s.Value, nil
}

// Serve answers on l until ctx ends or it is told to leave. Nodes run on, unless it
// is told to stop them as well.
func (k *Keeper) Serve(ctx context.Context, l net.Listener) error {
	defer k.stats.Close()
	run, stop := context.WithCancel(context.Background())
	defer stop()
	ran := make(chan error, 1)
	go func() { ran <- k.nodes.Run(run) }()
	only := new(http.Protocols)
	only.SetUnencryptedHTTP2(true)
	base, hangUp := context.WithCancel(context.Background())
	defer hangUp()
	server := &http.Server{Handler: k.handler(), Protocols: only, HTTP2: &http.HTTP2Config{SendPingTimeout: pulse, PingTimeout: pulseWait, MaxConcurrentStreams: 1000},
		ReadHeaderTimeout: patience, BaseContext: func(net.Listener) context.Context { return base }}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	var err error
	rest := false
	select {
	case <-ctx.Done():
	case err = <-served:
	case rest = <-k.leave:
	}
	if rest {
		stop()
		err = errors.Join(err, <-ran)
	} else {
		err = errors.Join(err, k.nodes.Close())
		stop()
		<-ran
	}
	// Whoever asked for it learns that it is done.
	last, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	hangUp()
	if server.Shutdown(last) != nil {
		server.Close()
	}
	return err
}

func (k *Keeper) handler() http.Handler {
	mux := http.NewServeMux()
	handle := func(pattern string, do func(w http.ResponseWriter, r *http.Request) (any, error)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			answer, err := do(w, r)
			if err != nil {
				refuse(w, err)
			} else if answer != nil {
				w.Header().Set("Content-Type", "application/json")
				json.NewEncoder(w).Encode(answer) //nolint:errcheck // the other side has gone
			}
		})
	}
	handle("GET /about", func(http.ResponseWriter, *http.Request) (any, error) { return k.o.about(), nil })
	handle("POST /leave", func(_ http.ResponseWriter, r *http.Request) (any, error) {
		rest := r.FormValue("nodes") == "stop"
		if rest { // also when the host starts again meanwhile
			if err := deploy.Replace(filepath.Join(k.o.Dir, resting), nil); err != nil {
				return nil, err
			}
		}
		select {
		case k.leave <- rest:
		default:
		}
		<-r.Context().Done()
		return nil, nil
	})
	handle("GET /nodes", k.look)
	handle("PUT /nodes/{id}", func(w http.ResponseWriter, r *http.Request) (any, error) {
		s, err := spec(w, r)
		if err != nil {
			return nil, err
		}
		return k.nodes.Start(r.Context(), k.local(s))
	})
	handle("DELETE /nodes/{id}", func(_ http.ResponseWriter, r *http.Request) (any, error) {
		// What was begun is finished, also when the connection is cut.
		return struct{}{}, k.nodes.Stop(context.WithoutCancel(r.Context()), r.PathValue("id"))
	})
	handle("GET /nodes/{id}/log", k.log)
	handle("PUT /secrets", func(w http.ResponseWriter, r *http.Request) (any, error) {
		all := map[string]told{}
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest)).Decode(&all); err != nil {
			return nil, fault.New(fault.Invalid, "read secrets: %w", err)
		}
		k.mu.Lock()
		defer k.mu.Unlock()
		k.secrets = all
		return struct{}{}, nil
	})
	handle("PUT /versions/{digest}", k.bring)
	handle("POST /tasks", k.task)
	return mux
}

func spec(w http.ResponseWriter, r *http.Request) (s deploy.Spec, err error) {
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest)).Decode(&s); err != nil {
		return s, fault.New(fault.Invalid, "read the node: %w", err)
	}
	return s, nil
}

// local is a node as it runs on this host: it listens for the load balancer, which is
// elsewhere, and its metrics take the way of the connection.
func (k *Keeper) local(s deploy.Spec) deploy.Spec {
	env := map[string]string{"HOST": "0.0.0.0"}
	for name, v := range s.Env {
		env[name] = v
	}
	if env["STATSD_HOST"] != "" && net.ParseIP(env["STATSD_HOST"]).IsLoopback() {
		env["STATSD_HOST"], env["STATSD_PORT"] = "127.0.0.1", strconv.Itoa(k.stats.port)
	}
	s.Env = env
	return s
}

// look answers when the nodes are others than the caller has seen, when there are
// metrics, or after a while.
func (k *Keeper) look(_ http.ResponseWriter, r *http.Request) (any, error) {
	seen := r.FormValue("seen")
	began := time.Now()
	tick := time.NewTicker(lookGap)
	defer tick.Stop()
	for {
		all, err := k.nodes.List(r.Context())
		if err != nil {
			return nil, err
		}
		data, err := json.Marshal(all)
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(data)
		s := state{Keeper: k.id, Address: ownAddress(), Hash: hex.EncodeToString(sum[:8]), Nodes: all}
		passed := time.Since(began)
		if s.Hash != seen || passed > lookLong || passed > time.Second && k.stats.waiting() {
			s.Stats = k.stats.take()
			return s, nil
		}
		select {
		case <-r.Context().Done():
			return nil, fault.New(fault.Unavailable, "its keeper ends")
		case <-tick.C:
		}
	}
}

const (
	lookGap  = 100 * time.Millisecond
	lookLong = 5 * time.Second
)

// ownAddress is the address that this host sends from, "" without a network. Nothing
// is sent: the addresses asked for belong to no one.
func ownAddress() string {
	for _, to := range []string{"192.0.2.1:9", "[2001:db8::1]:9"} {
		if c, err := net.Dial("udp", to); err == nil {
			defer c.Close()
			return c.LocalAddr().(*net.UDPAddr).IP.String()
		}
	}
	return ""
}

func (k *Keeper) log(w http.ResponseWriter, r *http.Request) (any, error) {
	lines, err := number(r.FormValue("lines"), "lines")
	if err != nil {
		return nil, err
	}
	follow := r.FormValue("follow") == "true"
	text, err := k.nodes.Logs(r.Context(), r.PathValue("id"), lines, follow)
	if err != nil {
		return nil, err
	}
	defer text.Close()
	f := flusher{w, http.NewResponseController(w)}
	f.to.Flush() //nolint:errcheck // the other side has gone
	if _, err = io.Copy(f, text); err != nil || follow {
		panic(http.ErrAbortHandler) // the reader must not take it for the end: a log has none
	}
	return nil, nil
}

// flusher sends at once what is written.
type flusher struct {
	io.Writer
	to *http.ResponseController
}

func (f flusher) Write(b []byte) (int, error) {
	n, err := f.Writer.Write(b)
	if err == nil {
		err = f.to.Flush()
	}
	return n, err
}

func (k *Keeper) task(w http.ResponseWriter, r *http.Request) (any, error) {
	s, err := spec(w, r)
	if err != nil {
		return nil, err
	}
	// Whether the artifact is there must be said before the output begins.
	if err := k.nodes.Bring(r.Context(), s.Digest, missing); err != nil {
		return nil, err
	}
	w.Header().Set("Trailer", headerResult+", "+headerKind)
	f := flusher{w, http.NewResponseController(w)}
	f.to.Flush() //nolint:errcheck // the other side has gone
	err = k.nodes.Task(r.Context(), k.local(s), f)
	result := ""
	if err != nil {
		result = trailing(err.Error())
	}
	w.Header().Set(headerResult, result)
	w.Header().Set(headerKind, strconv.Itoa(int(fault.Of(err))))
	return nil, nil
}

// bring takes an artifact in, checks it, and unpacks it.
func (k *Keeper) bring(_ http.ResponseWriter, r *http.Request) (any, error) {
	digest := r.PathValue("digest")
	f, err := os.CreateTemp(filepath.Join(k.o.Dir, "incoming"), "archive-")
	if err != nil {
		return nil, fmt.Errorf("take artifact %s: %w", digest, err)
	}
	defer os.Remove(f.Name())
	defer f.Close()
	sum := sha256.New()
	most := int64(k.o.MaxMB) << 20
	n, err := io.Copy(io.MultiWriter(f, sum), io.LimitReader(r.Body, most+1))
	if err != nil {
		return nil, fault.New(fault.Unavailable, "take artifact %s: %w", digest, err)
	}
	if n > most {
		return nil, fault.New(fault.TooMuch, "take artifact %s: it has more than %d MiB (limit artifact.max_mb)", digest, k.o.MaxMB)
	}
	if got, want := hex.EncodeToString(sum.Sum(nil)), r.Trailer.Get(headerSum); got != want {
		return nil, fault.New(fault.Unavailable, "take artifact %s: what came is not what was sent (SHA-256 %.16s…, not %.16s…)", digest, got, want)
	}
	err = k.nodes.Bring(r.Context(), digest, func(ctx context.Context, _, dir string) error {
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return err
		}
		return k.o.Extract(ctx, f, dir)
	})
	if err != nil {
		return nil, err
	}
	return struct{}{}, nil
}
