package cli

import (
	"context"
	"io"
	"time"
)

// Infra is what the commands about hosts and roles work with. It runs in this
// process: hosts can be converged before there is a server.
type Infra struct {
	// Converge plans, or with apply converges, hosts. tell gets each result of a
	// resource as it comes.
	Converge func(ctx context.Context, h HostArgs, c ConvergeArgs, tell func(HostEvent)) ([]HostResult, error)
	// Storable says why arguments may not be written to a file: a secret is among them.
	Storable func(h HostArgs) error
	// Verify runs the tests of the roles of hosts, and writes the reports. The code is
	// that with which the program ends.
	Verify func(ctx context.Context, h HostArgs, t TestArgs, out io.Writer) (code int, err error)
	// AddTest writes a test of what is on a host: of Limit, the one of Address, or this
	// machine.
	AddTest func(ctx context.Context, h HostArgs, kind, name string) ([]byte, error)
	// AppendTest returns a file of tests, or a role, with one more test in it.
	AppendTest func(file string, text, test []byte) ([]byte, error)
	// TestRole runs a role in a host that is made for it and destroyed afterwards.
	TestRole func(ctx context.Context, t RoleTest, out io.Writer) (ok bool, err error)
	// Hosts lists the hosts of the inventory.
	Hosts func(ctx context.Context, h HostArgs) ([]HostInfo, error)
	// Make creates, starts, rebuilds or destroys hosts, or stops them: stop, kill, freeze
	// or cut.
	Make func(ctx context.Context, h HostArgs, what string, tell func(HostEvent)) ([]HostResult, error)
	// Roles documents the roles of a definitions repository, as Markdown.
	Roles func(h HostArgs, names []string) ([]byte, error)
	// Describe documents hosts of the inventory, as Markdown.
	Describe func(h HostArgs) ([]byte, error)
	// Facts reads those of hosts, as JSON; of this machine or the one of Address when no
	// hosts are named.
	Facts func(ctx context.Context, h HostArgs) ([]byte, error)
	// Bake makes an image of roles. tell gets what happens in it, done each part when it
	// is there.
	Bake func(ctx context.Context, b BakeArgs, tell func(HostEvent), done func(BakePart)) (BakeResult, error)
	// Enter is the program on its way into a root file system. The code is that with
	// which it ends.
	Enter func(ctx context.Context, words []string) (code int, err error)
	// Agent is for the commands of a host that comes by itself.
	Agent Agent
	// Generations lists those of hosts; of this machine or the one of Address when no
	// hosts are named.
	Generations func(ctx context.Context, h HostArgs, stateDir string) ([]HostGenerations, error)
	// Rollback brings the same hosts back to earlier generations, or tells what that
	// would change.
	Rollback func(ctx context.Context, h HostArgs, c RollbackArgs, tell func(HostEvent)) ([]HostResult, error)
	// Guard waits for the confirmation of a generation on this host, and undoes it without
	// one.
	Guard func(ctx context.Context, dir string, generation int, within time.Duration) error
	// Side is the program on the host's side of a conversation.
	Side func(ctx context.Context, in io.Reader, out io.Writer) error
	// Keep keeps the nodes of another Steer running on this host.
	Keep func(ctx context.Context, settings string) error
}

// HostArgs say which hosts, and what they should be.
type HostArgs struct {
	Definitions string            // folder
	Key         string            // file with the key that decrypts secrets
	Environment string            // whose secrets
	Roles       []string          // of one host, instead of the inventory
	With        map[string]string // parameters of those roles
	Address     string            // of that host
	Limit       []string          // hosts of the inventory
}

// ConvergeArgs say how to converge.
type ConvergeArgs struct {
	Apply    bool
	Tags     []string
	Parallel int // hosts at a time
	Serial   string
	MaxFail  int
	By       string
	StateDir string // where the host remembers
	Version  string // of the definitions, if known
	// Guard is how long a host waits until somebody confirms that it can be reached after
	// a change, before it undoes it; 0: not at all. Nil: a minute for hosts by SSH.
	Guard *time.Duration
}

// RollbackArgs say how to go back.
type RollbackArgs struct {
	Apply    bool
	To       int // generation whose state is wanted; fewer than 0: the one before the newest
	By       string
	StateDir string
	Guard    *time.Duration // see ConvergeArgs
}

// HostGenerations are what a host can go back to.
type HostGenerations struct {
	Host        string           `json:"host"`
	Generations []HostGeneration `json:"generations"` // the newest first
	Error       string           `json:"error,omitempty"`
}

// HostGeneration is a run that changed something.
type HostGeneration struct {
	Number      int            `json:"generation"`
	By          string         `json:"by,omitempty"`
	Since       time.Time      `json:"since"`
	Ended       time.Time      `json:"ended,omitzero"` // zero: cut off, or under way
	Version     string         `json:"version,omitempty"`
	Counts      map[string]int `json:"counts,omitempty"`
	Changed     []string       `json:"changed,omitempty"`
	More        int            `json:"more,omitempty"` // changed besides these
	Hash        string         `json:"hash,omitempty"`
	BackTo      *int           `json:"back_to,omitempty"` // a rollback, to this one
	Unconfirmed bool           `json:"unconfirmed,omitempty"`
}

// HostEvent is the result of one resource on one host, or a step of making a host.
type HostEvent struct {
	Host   string        `json:"host"`
	Ref    string        `json:"ref,omitempty"`
	Role   string        `json:"role,omitempty"`
	Place  string        `json:"place,omitempty"`
	Status string        `json:"status"`
	Action string        `json:"action,omitempty"`
	Fields []HostField   `json:"fields,omitempty"`
	Drift  bool          `json:"drift,omitempty"` // the declaration has not changed since the host was as declared
	Why    string        `json:"why,omitempty"`
	Took   time.Duration `json:"took"` // nanoseconds
}

// HostField is one difference between a host and its roles.
type HostField struct {
	Name string `json:"name"`
	Old  string `json:"old,omitempty"`
	New  string `json:"new,omitempty"`
	Text string `json:"text,omitempty"` // unified diff
}

// HostResult is how a host came out.
type HostResult struct {
	Host       string         `json:"host"`
	Counts     map[string]int `json:"counts"`
	Hash       string         `json:"hash,omitempty"`
	Generation int            `json:"generation,omitempty"`
	CutOff     string         `json:"cut_off,omitempty"`   // of the run before this one
	Remembers  bool           `json:"remembers,omitempty"` // it was as declared once, so that drift can be told
	Notes      []string       `json:"notes,omitempty"`
	Error      string         `json:"error,omitempty"`
	Failed     bool           `json:"failed"`
	Took       time.Duration  `json:"took"` // nanoseconds
}

// HostInfo is a host of the inventory.
type HostInfo struct {
	Host    string   `json:"host"`
	Group   string   `json:"group"`
	Roles   []string `json:"roles"`
	Owner   string   `json:"owner,omitempty"`
	Address string   `json:"address"`
	Made    bool     `json:"made"` // by steer host create
	// State is how one that Steer makes is, like runs or stopped; empty where only a visit
	// tells.
	State string `json:"state,omitempty"`
}

// RoleTest is a role to test in a host of its own.
type RoleTest struct {
	HostArgs
	Role    string
	Image   string // of the throw-away container
	Systemd bool
	Keep    bool
	TestArgs
}

// TestArgs say how tests are run, and told.
type TestArgs struct {
	Format string
	Retry  time.Duration // each is repeated at least so long until it passes
}
