// Package place puts what is declared in its place on the disk of a host, safely: a folder
// is opened once and worked in, links are followed only where root made them, a new content
// takes the place of the old one in one step, and nothing with something in it goes by
// itself.
//
// Whoever changes files, folders or links of a host does it by this package, and only this
// one knows how. What kinds of resources there are, and when they differ, is not known here;
// what declarations of all of them share is: owners, rights, states, paths.
package place
