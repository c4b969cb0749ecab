package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"

	"steer/monitor/store/internal/schema"
)

// plan is how series of one schema and one aggregation are kept.
type plan struct {
	archives []archive // from fine to coarse
	roll     schema.Aggregation
	others   []other // archives that missing values may stand in, from fine to coarse
	eras     []era   // when archives were others, the last one first
	mixed    int64   // until when values may stand in others, seconds since 1970

	schema, aggregation int // numbers among the planner's
}

type archive struct {
	step, keep int64 // seconds
	ratio      int64 // slots of the finer archive in one of this
	part       int64 // slots in a block
}

func (a archive) String() string { return schema.Archive{Step: a.step, Keep: a.keep}.String() }

func newPlan(archives []schema.Archive, roll schema.Aggregation) *plan {
	p := &plan{roll: roll, mixed: math.MinInt64}
	for i, a := range archives {
		// An eighth of what is kept: so much more than needed stays on disk until
		// a block can go.
		b := archive{step: a.Step, keep: a.Keep, part: min(max(a.Keep/a.Step/8, 64), 8192)}
		if i > 0 {
			b.ratio = a.Step / archives[i-1].Step
		}
		p.archives = append(p.archives, b)
	}
	return p
}

func (p *plan) coarsest() archive { return p.archives[len(p.archives)-1] }

// place says which archive keeps a point of time t that comes at now, and its
// slot there. As in Whisper that is the finest that reaches back so far. The
// age counts from the start of the coarsest interval and each archive is
// thought of as longer by the length of one: so all points of one coarse
// interval go to the same archive at one moment and to coarser ones only later,
// and a rollup never overwrites a value that was written to its archive itself.
// A point from before a change of the schema goes to no finer archive than it would
// have gone to then: a rollup would lack the values of a time when that was not there.
func (p *plan) place(t, now int64) (k int, slot int64, ok bool) {
	finest := &p.archives[0]
	if t > now-finest.keep && t >= p.mixed { // nearly always: it is young enough by any count
		return 0, floor(t, finest.step), true
	}
	last := len(p.archives) - 1
	coarse := &p.archives[last]
	if t <= now-coarse.keep { // this way round no time overflows
		return 0, 0, false
	}
	age := now - floor(t, coarse.step)*coarse.step
	for k = 0; k < last && age >= p.archives[k].keep+coarse.step; k++ {
	}
	if t < p.mixed {
		for step := p.placed(t, now); k < last && p.archives[k].step < step; k++ {
		}
	}
	return k, floor(t, p.archives[k].step), true
}

// floor is t / step rounded down.
func floor(t, step int64) int64 {
	if uint64(t|step)>>32 == 0 { // much faster on many processors
		return int64(uint32(t) / uint32(step))
	}
	q := t / step
	if t < 0 && q*step != t {
		q--
	}
	return q
}

// planner finds the plan of a name.
type planner struct {
	schemas []schema.Schema
	rolls   []schema.Aggregation
	past    []past           // what stood in the place of schemas before, the last one first
	made    map[string]*plan // by the numbers of schemas and aggregation
}

// The default keeps ten seconds for six hours, as senders of Graphite and
// StatsD data expect, and five years at ten minutes.
const defaultRetentions = "10s:6h,1m:7d,10m:5y"

// Without a file, rollups go by what StatsD and collectd call their values, and
// one known value is enough: a sender that reports once a minute must not
// vanish from archives that are made of ten-second ones.
const defaultAggregation = `
- {name: min, pattern: '[._](min|lower(_\d+)?)$', x_files_factor: 0, method: min}
- {name: max, pattern: '[._](max|upper(_\d+)?)$', x_files_factor: 0, method: max}
- {name: sum, pattern: '[._](sum|count)(_\d+)?$|^stats_counts\.', x_files_factor: 0, method: sum}
- {name: average, pattern: '', x_files_factor: 0, method: average}
`

// Rules say how series are kept: the texts of a file of schemas and of one of
// aggregations. A file whose name is empty stands for the default.
type Rules struct {
	Schemas, Aggregation File
}

// File is a text with the name that errors call it by. A name that ends in .yaml,
// .yml or .json makes it YAML, every other one a Carbon file.
type File struct {
	Name string
	Data []byte
}

// Check says what is wrong with the rules, all mistakes in one fault.Invalid.
func (r Rules) Check() error {
	_, err := newPlanner(r)
	return err
}

// rules are those that stand first, filled up with the files that the
// configuration names.
func (c Config) rules(r Rules) (Rules, error) {
	for _, f := range []struct {
		what, path string
		to         *File
	}{{"schema", c.Schemas, &r.Schemas}, {"aggregation", c.Aggregation, &r.Aggregation}} {
		if f.path == "" || f.to.Name != "" {
			continue
		}
		data, err := os.ReadFile(f.path)
		if err != nil {
			return r, fmt.Errorf("read %s: %w", f.what, err)
		}
		*f.to = File{f.path, data}
	}
	return r, nil
}

func (r Rules) equal(q Rules) bool {
	return r.Schemas.Name == q.Schemas.Name && bytes.Equal(r.Schemas.Data, q.Schemas.Data) &&
		r.Aggregation.Name == q.Aggregation.Name && bytes.Equal(r.Aggregation.Data, q.Aggregation.Data)
}

func newPlanner(r Rules) (*planner, error) {
	p := &planner{made: map[string]*plan{}}
	archives, err := schema.ParseRetentions(defaultRetentions)
	if err != nil {
		return nil, err
	}
	every := schema.Everything()
	if r.Schemas.Name != "" {
		p.schemas, err = schema.Parse(r.Schemas.Name, r.Schemas.Data)
		// What Carbon does with a name that no schema matches.
		archives = []schema.Archive{{Step: 60, Keep: 7 * 86400}}
	}
	p.schemas = append(p.schemas, schema.Schema{Name: "default", Pattern: every, Archives: archives})
	var err2 error
	if r.Aggregation.Name == "" {
		p.rolls, err2 = schema.ParseAggregation("default.yaml", []byte(defaultAggregation))
		return p, errors.Join(err, err2)
	}
	p.rolls, err2 = schema.ParseAggregation(r.Aggregation.Name, r.Aggregation.Data)
	p.rolls = append(p.rolls, schema.Aggregation{Name: "default", Pattern: every, XFilesFactor: 0.5})
	return p, errors.Join(err, err2)
}

// plan is called under the planner's owner's lock.
func (p *planner) plan(name string) *plan {
	var key [64]byte
	at := binary.AppendUvarint(key[:0], uint64(firstSchema(p.schemas, name)))
	roll := 0
	for !p.rolls[roll].Pattern.Match(name) {
		roll++
	}
	at = binary.AppendUvarint(at, uint64(roll))
	for _, past := range p.past {
		at = binary.AppendUvarint(at, uint64(firstSchema(past.schemas, name)))
	}
	if made := p.made[string(at)]; made != nil {
		return made
	}
	number := firstSchema(p.schemas, name)
	now := p.schemas[number].Archives
	made := newPlan(now, p.rolls[roll])
	made.schema, made.aggregation = number, roll
	for _, past := range p.past {
		if i := firstSchema(past.schemas, name); i < len(past.schemas) {
			made.succeed(past, past.schemas[i].Archives, now)
		}
	}
	p.made[string(at)] = made
	return made
}

// firstSchema is the number of the schema that counts for a name.
func firstSchema(schemas []schema.Schema, name string) int {
	for i := range schemas {
		if schemas[i].Pattern.Match(name) {
			return i
		}
	}
	return len(schemas)
}
