// Package edit has the kinds of resources line and block, which look after a part of a file
// whose rest belongs to others: all that is not theirs stays as it is, byte by byte.
package edit
