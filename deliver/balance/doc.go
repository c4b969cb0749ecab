// Package balance is the load balancer before every deployed service. A service
// has one stable address per environment and port, whatever happens behind it.
//
// Each service in an environment is a Frontend: its listeners, and the set of
// Backends (nodes) behind them. Set replaces the set as a whole between two
// requests: what comes later goes to the new nodes, what is under way ends where
// it began, and Drained tells when that is so. Clients' connections stay open
// over a switch.
//
// A request that no backend has begun to answer is tried on another one, if that
// cannot do its work twice: always if nothing of it was sent, and if its method
// is idempotent also when the connection broke after that. Backends are probed
// every second, and left out at once when they refuse a connection. Among the
// healthy ones the less busy of two random ones is taken.
//
// Ports and frontends are kept in SQL, so that traffic flows again as soon as the
// process is back, before anything else has looked around.
//
// For every request samples go out:
//
//	balance.ENVIRONMENT.SERVICE.VERSION.requests     counter
//	balance.ENVIRONMENT.SERVICE.VERSION.errors       counter: status 5xx, broken off, or no backend
//	balance.ENVIRONMENT.SERVICE.VERSION.latency      timer, ms until the response began
//	balance.ENVIRONMENT.SERVICE.VERSION.status.2xx   counter, per class of status
//
// where dots in names become "_". Requests that no backend could take count for
// the version that should have, or for "none". For TCP a connection is a request,
// its latency is that of the connect, and it has no status.
package balance
