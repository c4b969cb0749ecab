// Package server starts the systems that benches compare and says what they
// cost this machine.
package server
