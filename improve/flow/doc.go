// Package flow measures how changes flow to customers, from the journal: lead
// time, frequency of deployments, how many of them fail, and how fast that is
// noticed and repaired; good builds per day. Each figure names the events that it
// was made from, so that a number can be asked about instead of believed.
//
// The figures are for conversations: where does work wait, what can be helped
// with. They compare a service with itself over time, never people or teams.
//
// What counts:
//   - A deployment is a version that took over the traffic of an environment by
//     being deployed. Going back to a version is none.
//   - Lead time runs from a commit to its first deployment. The first deployment
//     ever known of a service has none: its commit may be years old.
//   - A deployment failed if it was rolled back, or if an incident is blamed on it
//     (they share a chain), before the next version took over. A deployment that
//     never took the traffic hurt nobody and is not counted.
package flow
