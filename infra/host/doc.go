// Package host reaches hosts: this machine, by SSH, in containers, or by commands
// that somebody wrote for theirs. Nothing has to be installed there: the first visit
// leaves this program itself below /var/lib/steer-host, later ones start it, and it
// does the work where the work is. Conn is the narrow way to a host; Session speaks
// over it with the program there; Serve is that program's side.
package host
