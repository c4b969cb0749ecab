package system

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"steer/base/fault"
	"steer/infra"
)

// Timezone is the host's time zone.
type Timezone struct {
	Name string `yaml:"name,omitempty" doc:"Name of the zone, like Europe/Vienna or UTC."`
}

func timezoneKind() infra.Kind {
	return infra.Kind{
		Name: "timezone", Key: "name", Class: class,
		Doc:     "The time zone of the host. Programs that run already keep the old one until they start again.",
		Example: "timezone: Europe/Vienna\n",
		New:     func() infra.Resource { return &Timezone{} },
	}
}

const (
	zones     = "/usr/share/zoneinfo"
	localtime = "/etc/localtime"
	zoneFile  = "/etc/timezone" // Debian's, which not all hosts have
)

// ID is the same for all: a host has one.
func (z *Timezone) ID() string { return "host" }

// Check refuses what is no name of a zone.
func (z *Timezone) Check() error {
	if z.Name == "" || filepath.IsAbs(z.Name) || filepath.Clean(z.Name) != z.Name || strings.HasPrefix(z.Name, "..") {
		return fault.New(fault.Invalid, "name: %q is no time zone (write one like Europe/Vienna)", z.Name)
	}
	return nil
}

// Gives nothing that others could need.
func (z *Timezone) Gives() []string { return nil }

// Claims is the link.
func (z *Timezone) Claims() []infra.Claim { return []infra.Claim{{Name: "path:" + localtime}} }

// Needs the package with the zones.
func (z *Timezone) Needs() []string { return []string{"package:tzdata"} }

// Watch names the files.
func (z *Timezone) Watch() []string { return []string{localtime, zoneFile} }

// Diff compares the link, and Debian's file where it is.
func (z *Timezone) Diff(context.Context, *infra.Host) (infra.Diff, error) {
	var d infra.Diff
	target, _ := os.Readlink(localtime)
	old, ok := strings.CutPrefix(strings.TrimPrefix(target, ".."), zones+"/") // systemd's tools link from ..
	if !ok {
		old = target
	}
	if old != z.Name {
		d.Set("name", old, z.Name)
	}
	text, err := os.ReadFile(zoneFile)
	if errors.Is(err, fs.ErrNotExist) {
		return d, nil
	}
	if old := strings.TrimSpace(string(text)); err == nil && old != z.Name {
		d.Set(zoneFile, old, z.Name)
	}
	return d, err
}

// Apply sets the link anew, by renaming.
func (z *Timezone) Apply(_ context.Context, _ *infra.Host, d infra.Diff) error {
	target := filepath.Join(zones, z.Name)
	if is, err := os.Stat(target); err != nil || !is.Mode().IsRegular() {
		return fmt.Errorf("there is no time zone %s on this host (correct the name, or declare before it: - package: tzdata)", z.Name)
	}
	if d.Has("name") {
		beside := localtime + ".steer-new"
		if err := errors.Join(remove(beside), os.Symlink(target, beside)); err != nil {
			return err
		}
		if err := os.Rename(beside, localtime); err != nil {
			return errors.Join(err, os.Remove(beside))
		}
	}
	if d.Has(zoneFile) {
		return replace(zoneFile, []byte(z.Name+"\n"), 0o644)
	}
	return nil
}
