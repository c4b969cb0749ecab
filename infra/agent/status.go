package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"steer/base/fault"
	"steer/base/id"
	"steer/infra"
)

// Status is how the agent of this host is.
type Status struct {
	Host      id.Host   `json:"host"`
	URL       string    `json:"url"`
	Version   string    `json:"version"`
	Started   time.Time `json:"started"`
	Connected time.Time `json:"connected,omitzero"` // since when; zero: it is not
	Contact   time.Time `json:"contact"`            // when the server was there last, when it is not connected
	Error     string    `json:"error,omitempty"`    // of the last attempt to connect
	Watch     string    `json:"watch,omitempty"`    // which drift is not watched, and why
	Paused    bool      `json:"paused"`             // it does not converge by itself
	Alone     time.Time `json:"alone,omitzero"`     // when it last converged by itself
}

// ReadStatus reads what the agent of this host noted last.
func ReadStatus(dir string) (s Status, err error) {
	b, err := os.ReadFile(filepath.Join(dir, statusFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return s, fault.New(fault.NotFound, "the agent of this host has not run yet (steer agent run, or systemctl start steer-agent)")
	case err == nil:
		err = json.Unmarshal(b, &s)
	}
	if err != nil {
		return s, fmt.Errorf("read the status of the agent: %w", err)
	}
	return s, nil
}

// note changes the status, in memory and on disk. A full disk keeps nobody from the
// host: then only the memory has it.
func (a *Agent) note(change func(*Status)) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	change(&a.status)
	b, err := json.MarshalIndent(a.status, "", " ")
	if err != nil {
		return err
	}
	if err = put(filepath.Join(a.o.Dir, statusFile), append(b, '\n')); infra.DiskTrouble(err) {
		a.log.Error("keep the status of the agent", "error", err)
		return nil
	}
	return err
}
