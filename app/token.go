package app

import (
	"context"
	"log/slog"
	"os"
	"syscall"

	"steer/base/fault"
)

// ResetToken replaces the token of admin in a data folder that no server uses, for
// when it was lost. Who may write the folder may do everything anyway.
func ResetToken(ctx context.Context, args Args) (file string, err error) {
	a := &App{o: Options{Data: args.Data}, log: slog.Default()}
	info, err := os.Stat(a.path("instance"))
	if err != nil {
		return "", fault.New(fault.NotFound, "reset token: %s is no server's data folder (name it with --data)", args.Data)
	}
	// Files that another user makes here would keep the server from starting.
	if owner, ok := info.Sys().(*syscall.Stat_t); ok && int(owner.Uid) != os.Geteuid() {
		return "", fault.New(fault.Denied, "reset token: the data folder %s belongs to user %d, and this is user %d (do: sudo -u '#%d' steer token reset …)", args.Data, owner.Uid, os.Geteuid(), owner.Uid)
	}
	if a.o.Config, err = Load(args); err != nil {
		return "", err
	}
	defer a.group.Abandon()
	if err := a.openFolder(ctx); err != nil {
		return "", err
	}
	if err := a.openRecords(ctx); err != nil {
		return "", err
	}
	file = a.path("admin.token")
	return file, a.access.Reset(ctx, file)
}
