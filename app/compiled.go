package app

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"steer/cli"
	"steer/infra"
	"steer/infra/converge"
	"steer/infra/role"
)

// compiled is what the roles of this machine were compiled to in an earlier run, kept
// beside its state, so that a run for which nothing is new need not read them: YAML
// takes longer than comparing the machine. It belongs to one key, a digest of all that
// goes into it: this program, the files of all roles, which of them are wanted with
// which parameters, and the facts. Nothing is kept that uses a secret, and nobody but
// who keeps it can read it. Whatever is wrong with it, roles are compiled as if it were
// not there.
type compiled struct {
	args    cli.HostArgs
	file    string
	program string
	write   bool
	host    *infra.Host
	key     []byte
	found   []infra.Declared // nil: nothing is known by the key
}

const (
	compiledFile    = "compiled"
	largestCompiled = 64 << 20
)

// remember looks for what was kept. It is nil where nothing can be.
func remember(ctx context.Context, a cli.HostArgs, c cli.ConvergeArgs) *compiled {
	self, err := os.Executable()
	if err != nil || len(a.Roles) == 0 || cmp.Or(a.Address, "local") != "local" {
		return nil
	}
	m := &compiled{args: a, file: filepath.Join(cmp.Or(c.StateDir, converge.DefaultDir), compiledFile), program: self, write: c.Apply, host: infra.NewHost(ctx)}
	read := make(chan kept, 1)
	go func() { read <- m.read() }()
	m.key, err = m.digest(m.host.Facts)
	if k := <-read; err == nil && bytes.Equal(k.key, m.key) {
		m.found = k.all
	}
	if err != nil {
		return nil
	}
	return m
}

// digest is the key. Builds differ in more than their version, so the file of the
// program stands for it.
func (m *compiled) digest(facts infra.Facts) ([]byte, error) {
	program, err := os.Stat(m.program)
	if err != nil {
		return nil, err
	}
	roles, err := role.DigestAll(os.DirFS(m.args.Definitions))
	if err != nil {
		return nil, err
	}
	b, err := json.Marshal([]any{m.program, program.Size(), program.ModTime().UnixNano(), hex.EncodeToString(roles[:]), m.args.Roles, m.args.With, facts})
	key := sha256.Sum256(b)
	return key[:], err
}

// kept is what a file had: nothing if it is not as keep wrote it.
type kept struct {
	key []byte
	all []infra.Declared
}

func (m *compiled) read() (k kept) {
	f, err := os.Open(m.file)
	if err != nil {
		return k
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return k
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok || int(owner.Uid) != os.Geteuid() || !info.Mode().IsRegular() || info.Mode().Perm()&0o077 != 0 || info.Size() < 2*sha256.Size || info.Size() > largestCompiled {
		return k
	}
	b := make([]byte, info.Size())
	if _, err := io.ReadFull(f, b); err != nil {
		return k
	}
	key, sum, body := b[:sha256.Size], b[sha256.Size:2*sha256.Size], b[2*sha256.Size:]
	if now := sha256.Sum256(body); !bytes.Equal(sum, now[:]) {
		return k // torn
	}
	all, err := infra.Unpack(resourceKinds(), string(body))
	if err != nil {
		return k
	}
	return kept{key, all}
}

// keep keeps a manifest that was compiled from these facts, if that is allowed. An
// error costs the next run some time only.
func (m *compiled) keep(made infra.Manifest, facts infra.Facts) {
	if !m.write || made.Secret {
		return
	}
	body, err := infra.Pack(made.Resources)
	if err != nil || len(body)+2*sha256.Size > largestCompiled {
		return
	}
	// The roles were read after the first digest: they have to be the same still.
	if now, err := m.digest(facts); err != nil || !bytes.Equal(now, m.key) {
		return
	}
	if err := os.MkdirAll(filepath.Dir(m.file), 0o700); err != nil {
		return
	}
	f, err := os.CreateTemp(filepath.Dir(m.file), compiledFile+".*") // with 0600
	if err != nil {
		return
	}
	sum := sha256.Sum256(body)
	_, err = f.Write(bytes.Join([][]byte{m.key, sum[:], body}, nil))
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), m.file)
	}
	if err != nil {
		os.Remove(f.Name()) //nolint:errcheck // nothing is lost
	}
}
