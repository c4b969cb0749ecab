// Package run executes the commands of pipeline stages, each as a process group
// on this machine with a clean environment, a time limit and a log that can be
// read while it grows.
//
// A command does not outlive Steer: what a stage is worth is only known when
// somebody watched it to its end. A process group cannot be bound to its parent,
// so the runner writes down beside the log which group it starts, before the
// group begins its work, and New ends those that a killed Steer left behind. The
// pipeline then runs the stage again from a clean checkout.
//
// Nothing a command starts stays: when it is over, its group is ended, and so is
// every process that carries its mark (STEER_JOB) in the environment, which
// finds those that left the group.
package run
