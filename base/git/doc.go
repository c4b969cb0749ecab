// Package git works on bare Git repositories by running the git program: it
// makes them, reads trees and history, commits without a work tree, mirrors
// repositories of other hosts, and serves clone and push over HTTP.
//
// Every git process runs in an environment of its own: no configuration, hooks,
// templates or prompts from the machine or the user, and only the transports
// http, https, ssh and file. Revisions and paths are checked before git sees
// them, output is bounded, and the end of the context ends the whole process
// group. One Repo may be used by several goroutines and processes at once.
package git
