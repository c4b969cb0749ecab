package place

import "golang.org/x/sys/unix"

// Link is where the link that stands there leads.
func (p Place) Link() (string, error) {
	to, err := readlink(p.folder, p.name)
	if err != nil {
		return "", p.Failed("read", err)
	}
	return to, nil
}

// WriteLink puts a link to a target there, in one step.
func (p Place) WriteLink(target string) error {
	next := p.beside()
	if err := next.Remove(); err != nil {
		return err
	}
	if err := unix.Symlinkat(target, next.folder, next.name); err != nil {
		return p.Failed("write", err)
	}
	return next.rename(p)
}
