// Package prometheus is a store.Driver on a cluster that speaks Prometheus'
// protocols: VictoriaMetrics, Prometheus, Mimir, Thanos. It writes by remote
// write 1.0 and reads by the query API; what it cannot promise is in Traits.
//
// # Series
//
// A series of Graphite becomes a series with these labels:
//
//	__name__  the same for all (Config.Metric, "graphite")
//	path      the name as far as its tags
//	name      the whole name, only if it has tags
//	TAG       the value of each of the first 25 tags, in the order of the alphabet
//
// so that servers.web1.cpu is graphite{path="servers.web1.cpu"} in PromQL, and
// disk.used;host=web1 is graphite{path="disk.used",host="web1",name="disk.used;host=web1"}.
// The labels path and name give every name back as it was. A tag that is not
// allowed as a label, or starts with "tag_" or "__", or is called path, becomes
// "tag_" and its letters and digits, every other byte as "_" and two hexadecimal
// digits. Label values must be UTF-8: a byte that is none becomes the character
// U+10FE00 plus its value, and so do the bytes of those characters themselves.
//
// Points keep their own times. Fetch puts them on the grid of the series' first
// archive; of several in one slot the latest counts.
//
// # The way of a point
//
// Write appends to a buffer. A sync puts the buffer, compressed, into a spool on
// disk. From there a single goroutine sends requests of some thousand points in
// the order of arrival, tries again whatever may be a matter of time (no answer,
// 5xx, 429, a wrong password), and goes on only when the server has taken them:
// after kill -9 some may be sent twice. A request that the server refuses is
// split until it is known which points it does not want; they are dropped and
// counted. Points in the spool cannot be read.
//
// Sources: https://prometheus.io/docs/specs/prw/remote_write_spec/,
// https://prometheus.io/docs/prometheus/latest/querying/api/
package prometheus
