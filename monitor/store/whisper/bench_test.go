package whisper

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"steer/base/metric"
	"steer/monitor/store"
	"steer/monitor/store/internal/schema"
)

// BenchmarkImport imports files of Carbon's usual size, all full, into a store that
// keeps series in the same way: from the tar stream to the log on disk.
func BenchmarkImport(b *testing.B) {
	r := retention(b, "10s:6h,1m:7d,10m:1y", schema.Average, 0.5)
	rng := rand.New(rand.NewPCG(1, 2))
	columns := make([]metric.Series, len(r.Archives))
	for k, a := range r.Archives {
		values := make([]float64, a.Keep/a.Step)
		for i := range values {
			values[i] = float64(rng.IntN(10000)) / 100
		}
		columns[k] = column(a.Step, testNow, values...)
	}
	file := encode(b, r, columns...)
	var entries []entry
	for n := range 20 {
		entries = append(entries, entry{fmt.Sprintf("r0/bench/series%d.wsp", n), file})
	}
	stream := pack(b, entries...).Bytes()
	points := 0
	for b.Loop() {
		s := openStore(b, b.TempDir(), []store.Retention{r})
		sum := mustImport(b, ImportOptions{Store: s}, bytes.NewReader(stream))
		points += sum.Written
		b.StopTimer()
		s.Close()
		b.StartTimer()
	}
	b.ReportMetric(float64(points)/b.Elapsed().Seconds(), "points/s")
}
