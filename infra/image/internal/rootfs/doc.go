// Package rootfs knows root file systems: a folder with the files of one, what changed in
// it since somebody looked, and the layers that images are made of. A layer is a tar.gz of
// changes as image-spec 1.1 of the Open Container Initiative has it; a Tree writes and
// unpacks them, and can stand as a stack of several, so that a change costs what it is and
// not what it stands on.
//
// What belongs here is true of every tree of files. What an image of roles wants with one,
// and where trees are kept, is for package image.
package rootfs
