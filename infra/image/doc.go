// Package image bakes images from roles, without an engine: a base becomes a tree of
// files, each part of the roles is applied inside of it, and what that changed becomes
// a layer. A layer is kept under a key over everything before it, so that what did not
// change is not done again. What is written is an image as the Open Container
// Initiative specifies it (image-spec 1.1), or a root file system.
//
// The same definitions and the same base give the same bytes: names are sorted, times
// are at most that of the base, and what programs leave about (logs, caches, the
// machine's identity) is taken out.
//
// What is true of any tree of files is in internal/rootfs; here is what roles make of one:
// bases, the cache of what was done, what programs need while they run in a tree and leave
// there, and the image that comes out.
package image
