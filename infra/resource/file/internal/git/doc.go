// Package git is the kind of resource git: a checkout of a repository. All is done by the
// program git in an environment of its own, in which nothing of the checkout is run; what
// somebody changed there is not lost unless that is declared.
package git
