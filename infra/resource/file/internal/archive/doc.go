// Package archive is the kind of resource archive: what is in a tar or zip, unpacked into a
// folder. It is unpacked beside and moved into the folder file by file; a record there says
// what came out, and nothing but that is touched. How the formats are read, and what is
// refused in them, is in internal/unpack of package file.
package archive
