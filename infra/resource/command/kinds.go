// Package command runs what others wrote on a host: commands, Puppet manifests,
// Ansible playbooks.
package command

import "steer/infra"

// Kinds lists the kinds of this package. None has a class: a command may change
// anything, and needs what is written before it.
func Kinds() infra.Kinds {
	return infra.Kinds{commandKind(), puppetKind(), ansibleKind()}
}
