package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strconv"
	"time"

	"steer/test/bench/values"
)

const (
	step   = 10 // seconds
	groups = 5  // of centres
	moves  = 60 // steps that the range of a request may move back
	window = 30 // points of the moving average
)

// data is what every system gets: values[i][p] belongs to series i and the time
// start + p*step. The values are integers in hundredths.
type data struct {
	start  int64 // seconds since 1970
	points int
	names  []string
	values [][]int64
}

// centres are the nodes that groupByNode finds.
func centres() []string { return []string{"dc1", "dc2", "dc3", "dc4", "dc5"} }

func makeData(series, points int, seed uint64, now time.Time) *data {
	d := &data{points: points + moves}
	d.start = now.Unix() - now.Unix()%step - int64(d.points-1)*step
	for i := range series {
		d.names = append(d.names, fmt.Sprintf("servers.%s.web-%03d.cpu.usage", centres()[i%groups], i/groups))
		s, column := values.New(values.Percent, seed+uint64(i)), make([]int64, d.points)
		for p := range column {
			column[p] = s.Next()
		}
		d.values = append(d.values, column)
	}
	return d
}

func (d *data) at(p int) int64         { return d.start + int64(p)*step }
func (d *data) value(i, p int) float64 { return values.Number(d.values[i][p], 2) }

// sum is that of all series at a point.
func (d *data) sum(p int) (total float64) {
	for i := range d.names {
		total += d.value(i, p)
	}
	return total
}

// send writes points from up to until (not included) of all series as Graphite
// lines, in order of time.
func (d *data) send(ctx context.Context, address string, from, until int) error {
	var dialer net.Dialer
	c, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("send lines: %w", err)
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	out := bufio.NewWriterSize(c, 1<<20)
	for p := from; p < until; p++ {
		stamp := " " + strconv.FormatInt(d.at(p), 10) + "\n"
		for i, name := range d.names {
			line := append(append(out.AvailableBuffer(), name...), ' ')
			line = append(values.Append(line, d.values[i][p], 2), stamp...)
			if _, err := out.Write(line); err != nil {
				return fmt.Errorf("send lines to %s: %w", address, err)
			}
		}
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("send lines to %s: %w", address, err)
	}
	return nil
}
