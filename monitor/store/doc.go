// Package store keeps metrics: it is the seam Driver and Steer's own engine
// behind it; package prometheus is a driver on a metrics cluster. Package storetest
// says in tests what every driver must do.
//
// A point's address is (series, time / step): timestamps are not stored, a
// point that comes again replaces the first one, and rollups align. The name of
// a series decides how long and how finely it is kept (Config.Schemas) and how
// older values are summed up (Config.Aggregation).
//
// # The way of a point
//
// Write finds the series of a point in one of 64 shards, by 128 bits that stand for
// its name, appends the point to the records that memory holds of it, nine bytes for
// a sender that keeps its interval, and one to the shard's buffer for the log. A
// sync, every second or before Write returns (Config.Sync), collects the buffers in
// one write and one fsync of the write-ahead log.
//
// A flush, every ten minutes or when memory or log have grown much, parts memory and
// log at one point of every shard, writes what memory held to new block files
// together with the coarser values that it touches, computed again from all finer
// ones, and then removes the log. After it, expired files are removed, small ones of
// one stretch of time are merged, and now and then series that have no points any
// more are forgotten. Fetch overlays memory, rollups of what memory holds, and blocks
// from the newest flush to the oldest, many series on all cores.
//
// A point goes to the finest archive that reaches back to it, as in Whisper. A
// point that is too old for the finest one is written to a coarser one itself
// and replaces the rollup there.
//
// # Limits
//
// A new series is counted by who sent it (WriteFrom) and by the first nodes of its
// name, in the last hour and in bounded memory. Config.MaxSeries bounds all series,
// Config.NewSeries what one sender creates in an hour; of the last tenth a sender
// gets no more than it leaves to others. What is over a limit is left out, and log
// and Stats name the sender. Points of known series are never counted so.
//
// # When the rules change
//
// Apply flushes everything, since memory and log say which archive a point goes to,
// and remembers what was in force before. Blocks stay as they are: what is missing in
// an archive from before a change is looked for in the others that the series has or
// had, finer values rolled up, coarser ones where their interval starts. A point of
// that time goes to no finer archive than it would have gone to then.
//
// # On disk
//
//	LOCK              holds the pid; the process keeps a flock on it
//	retentions.json   the schemas now and before
//	names             every series, frames of internal/wal: sorted as the tree of
//	                  names, behind that those of the last flushes
//	wal/N.wal         the log since the last flush, frames of internal/wal
//	blocks/STEP-KEEP/START-OLD-NEW.blk
//	                  blocks of internal/block: one archive, one stretch of time
//	                  from slot START, the points of flushes OLD to NEW
//
// Once memory is flushed, names, retentions.json and blocks are the whole store:
// that is what a Snapshot holds.
//
// A file is complete when it has its name: it is written as .tmp, synced,
// renamed, and the folder synced. (Log and list of names grow, frame by frame.) A
// .tmp in blocks, and a block whose flushes are all in another one, is removed at
// the next start. What ends in .damaged was set aside for a person to look at;
// Steer never reads it again. docs/formats/metrics.md describes all files byte by
// byte, and a reader made from it is compared with Fetch in a test.
//
// # When something breaks
//
// A torn tail of log or names is cut off at the start and logged. A damaged
// record is skipped, and a copy of the file kept as .damaged. A damaged block is read
// as far as its checksums hold, chunk by chunk; the next flush writes the sound part
// anew. When reading fails without damage, a flush that needs the values waits, ten
// minutes at most, and a merge is left for later. While the disk takes nothing, Write
// returns fault.Unavailable, Fetch and Find go on, and a try every second finds out
// when it is well again; what was accepted before waits in memory.
package store
