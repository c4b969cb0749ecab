package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"steer/base/fault"
	"steer/base/secret"
	"steer/cli"
	"steer/infra"
	"steer/infra/host"
	"steer/infra/role"
	"steer/infra/verify"
)

// selection is hosts, and the roles that they have.
type selection struct {
	library *role.Library
	hosts   []host.Host
	uses    func(host.Host) ([]role.Use, error)
	secret  func(name string) (string, error)
	self    way
	memory  *compiled // nil: nothing is remembered
	tags    tags
	retry   time.Duration // tests are repeated at least so long
}

// readable says when there is no folder with definitions.
func readable(files fs.FS) error {
	if _, err := fs.Stat(files, "."); err != nil {
		return fault.New(fault.NotFound, "read definitions: %w (name the folder with --definitions)", err)
	}
	return nil
}

// openFleet reads the definitions for some hosts.
func openFleet(a cli.HostArgs) (*selection, error) {
	files := os.DirFS(a.Definitions)
	if err := readable(files); err != nil {
		return nil, err
	}
	f := &selection{}
	var err error
	if f.self, err = fromHere(); err != nil {
		return nil, err
	}
	if f.library, err = role.Load(files, resourceKinds()); err != nil {
		return nil, err
	}
	f.secret = secrets(files, a)
	if len(a.Roles) > 0 {
		var uses []role.Use
		for _, name := range a.Roles {
			r, err := f.library.Role(name)
			if err != nil {
				return nil, err
			}
			with := map[string]any{}
			for k, v := range a.With {
				if _, ok := r.Parameters[k]; ok || len(a.Roles) == 1 {
					with[k] = v
				}
			}
			uses = append(uses, role.Use{Role: name, With: with})
		}
		f.hosts = []host.Host{addressed(cmp.Or(a.Address, "local"))}
		f.uses = func(host.Host) ([]role.Use, error) { return uses, nil }
		return f, nil
	}
	if a.Address != "" || len(a.With) > 0 {
		return nil, fault.Usage(errors.New("--host and --param need roles (steer plan ROLE --host …)"))
	}
	all, err := host.ReadInventory(files)
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, fault.New(fault.NotFound, "%s has no hosts (name roles to work on this machine: %s)", a.Definitions, cmp.Or(strings.Join(f.library.Names(), ", "), "there are none in roles/ either"))
	}
	for i := range all {
		all[i].Folder = a.Definitions
	}
	f.hosts, err = host.Select(host.Lasting(all, time.Now()), a.Limit)
	f.uses = inventoryUses
	return f, err
}

// inventoryUses are the roles that hosts.yaml gives a host.
func inventoryUses(h host.Host) ([]role.Use, error) {
	var uses []role.Use
	for _, u := range h.Roles {
		with := map[string]any{}
		for k, raw := range u.With {
			v, err := raw.Value()
			if err != nil {
				return nil, err
			}
			with[k] = v
		}
		uses = append(uses, role.Use{Role: u.Role, With: with})
	}
	return uses, nil
}

// secrets reads secrets/ENVIRONMENT/NAME.age, given a key.
func secrets(files fs.FS, a cli.HostArgs) func(string) (string, error) {
	if a.Key == "" || a.Environment == "" {
		return func(name string) (string, error) {
			return "", fault.New(fault.Invalid, "secret:%s needs a key (give --key FILE and --environment NAME)", name)
		}
	}
	return func(name string) (string, error) {
		path := fmt.Sprintf("secrets/%s/%s.age", a.Environment, name)
		if _, err := os.Stat(a.Key); err != nil {
			return "", fault.New(fault.NotFound, "read the key: %w", err)
		}
		keys, err := secret.Open(a.Key)
		if err != nil {
			return "", err
		}
		b, err := fs.ReadFile(files, path)
		if err != nil {
			return "", fault.New(fault.NotFound, "there is no %s", path)
		}
		v, err := keys.Decrypt(b)
		if err != nil {
			return "", fmt.Errorf("%s: %w", path, err)
		}
		return v.Reveal(), nil
	}
}

// visit opens a conversation with a host and compiles what it should be.
func (f *selection) visit(ctx context.Context, h host.Host) (_ visit, m infra.Manifest, err error) {
	if f.memory != nil && f.memory.found != nil {
		return here{ctx, f.memory.host}, infra.Manifest{Resources: f.memory.found}, nil
	}
	v, err := visitHost(ctx, h.Address, f.self)
	if err != nil {
		return nil, m, err
	}
	defer func() {
		if err != nil {
			v.Close()
		}
	}()
	facts, err := v.facts()
	if err != nil {
		return nil, m, err
	}
	uses, err := f.uses(h)
	if err != nil {
		return nil, m, err
	}
	if m, err = f.library.Compile(uses, role.Input{Facts: facts, Secret: f.secret}); err != nil {
		return nil, m, err
	}
	if _, err = verify.Decode(m.Tests); err != nil {
		return nil, m, err
	}
	if h.NoLogin() {
		if m, err = closed(m, host.InventoryFile); err != nil {
			return nil, m, err
		}
	}
	if f.memory != nil {
		f.memory.keep(m, facts)
	}
	return v, m, nil
}
