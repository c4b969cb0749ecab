package app

import (
	"slices"

	"steer/infra"
	"steer/infra/resource/account"
	"steer/infra/resource/command"
	"steer/infra/resource/file"
	"steer/infra/resource/packages"
	"steer/infra/resource/service"
	"steer/infra/resource/system"
)

// resourceKinds are all kinds of resources that roles can declare.
func resourceKinds() infra.Kinds {
	return slices.Concat(file.Kinds(), packages.Kinds(), service.Kinds(), account.Kinds(), system.Kinds(), command.Kinds())
}
