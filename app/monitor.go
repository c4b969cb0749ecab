package app

import (
	"context"
	"database/sql"
	"fmt"
	"net/http"
	"strings"
	"time"

	"steer/api/graphite"
	"steer/api/umpire"
	"steer/base/event"
	"steer/base/id"
	"steer/base/metric"
	"steer/catalog"
	"steer/monitor/agent"
	"steer/monitor/aggregate"
	"steer/monitor/notify"
	"steer/monitor/notify/email"
	"steer/monitor/notify/webhook"
	"steer/monitor/query"
	receiveGraphite "steer/monitor/receive/graphite"
	receiveStatsD "steer/monitor/receive/statsd"
	"steer/monitor/route"
	"steer/monitor/state"
	"steer/monitor/store"
)

// monitor is the metric path and what watches it.
type monitor struct {
	store     metricStore
	disk      *store.Store              // the same, if it is Steer's own engine
	figures   func() map[string]float64 // of the store
	router    *route.Router
	statistic *aggregate.Aggregator
	lines     *receiveGraphite.Receiver
	samples   *receiveStatsD.Receiver
	engine    *query.Engine
	checks    *state.Engine
	notifier  *notify.Notifier

	graphite, umpire http.Handler
}

// openMonitor builds receive → route → aggregate → store → query. Components run
// in the order of adding and stop in reverse, so that those which bring points
// end before those which take them.
func (a *App) openMonitor(context.Context) (err error) {
	m := &a.monitor
	if m.store, m.figures, err = a.openStore(); err != nil {
		return err
	}
	a.group.Close("metric store", m.store.Close)
	a.group.Go("metric store", m.store.Run)
	if m.router, err = route.New(route.Options{
		Config: a.o.Route, Log: a.log, Store: into(m.store),
	}); err != nil {
		return err
	}
	if m.statistic, err = aggregate.New(aggregate.Options{Config: a.o.Aggregate.StatsD, Sink: m.from("statsd"), Log: a.log}); err != nil {
		return err
	}
	a.group.Go("StatsD statistics", m.statistic.Run)
	if m.lines, err = receiveGraphite.New(receiveGraphite.Options{Config: a.o.Receive.Graphite, Sink: m.router.Write, Log: a.log}); err != nil {
		return err
	}
	a.group.Close("Graphite receiver", func() error { m.lines.Close(); return nil })
	a.group.Go("Graphite receiver", m.lines.Run)
	if m.samples, err = receiveStatsD.New(receiveStatsD.Options{Config: a.o.Receive.StatsD, Sink: m.statistic.Add, Log: a.log}); err != nil {
		return err
	}
	a.group.Close("StatsD receiver", func() error { m.samples.Close(); return nil })
	a.group.Go("StatsD receiver", m.samples.Run)
	if a.o.Agent.Enabled {
		host, err := agent.New(agent.Options{Config: a.o.Agent, Sink: m.from("agent"), Log: a.log})
		if err != nil {
			return err
		}
		a.group.Go("host figures", host.Run)
	}
	a.group.Go("own figures", a.report)

	if m.engine, err = query.New(query.Options{Source: reader{m.store}, Events: a.learn.happened, Limits: a.o.Query, Log: a.log}); err != nil {
		return err
	}
	m.graphite = graphite.New(graphite.Options{Engine: m.engine, Tags: m.store, Events: a.learn.events, Log: a.log})
	m.umpire = umpire.New(umpire.Options{Engine: m.engine, Log: a.log})
	return nil
}

// into stores points in a driver, and tells it who sent them if it can use that.
func into(d store.Driver) route.Sink {
	if e, ok := d.(interface {
		WriteFrom(ctx context.Context, from string, points []metric.Point) error
	}); ok {
		return func(from string, points []metric.Point) error { return e.WriteFrom(context.Background(), from, points) }
	}
	return func(_ string, points []metric.Point) error { return d.Write(context.Background(), points) }
}

// from is the way into the router for points that Steer makes itself.
func (m *monitor) from(name string) func(points []metric.Point) error {
	return func(points []metric.Point) error { return m.router.Write(name, points) }
}

// reader is the store as the query engine wants it.
type reader struct{ store store.Driver }

func (r reader) Find(ctx context.Context, pattern string, limit int) ([]metric.Match, error) {
	return r.store.Find(ctx, pattern, limit)
}

func (r reader) Select(ctx context.Context, expressions []string, limit int) ([]string, error) {
	match, err := store.ParseTagMatches(expressions)
	if err != nil {
		return nil, err
	}
	return r.store.Select(ctx, match, limit)
}

func (r reader) Fetch(ctx context.Context, names []string, from, until int64, most int, room func(n int) []float64) ([]metric.Series, error) {
	return r.store.Fetch(ctx, store.Request{Names: names, From: from, Until: until, Most: max(most, 1), Room: room})
}

// addresses are what senders need to know.
func (m *monitor) addresses() (list [][2]string) {
	if addr := m.lines.TCP(); addr != nil {
		list = append(list, [2]string{"Graphite TCP", addr.String()})
	}
	if addr := m.lines.UDP(); addr != nil {
		list = append(list, [2]string{"Graphite UDP", addr.String()})
	}
	if addr := m.lines.Pickle(); addr != nil {
		list = append(list, [2]string{"Graphite pickle", addr.String()})
	}
	if addr := m.samples.UDP(); addr != nil {
		list = append(list, [2]string{"StatsD UDP", addr.String()})
	}
	return list
}

// watchState builds state → notify. It comes after the areas that incidents act
// on.
func (a *App) watchState(ctx context.Context) (err error) {
	hook, err := webhook.New(webhook.Options{Config: a.o.Notify.Webhook, Agent: "Steer/" + a.o.Version})
	if err != nil {
		return err
	}
	mail, err := email.New(email.Options{Config: a.o.Notify.Email})
	if err != nil {
		return err
	}
	if a.monitor.notifier, err = notify.New(ctx, notify.Options{
		DB: a.db, Work: a.work, Journal: a.journal, Kinds: []notify.Kind{hook, mail}, Contacts: a.contacts, Log: a.log,
	}); err != nil {
		return err
	}
	if a.monitor.checks, err = state.New(ctx, state.Options{
		Config: a.o.State, DB: a.db, Journal: a.journal, Log: a.log,
		Query: a.monitor.query, Checks: a.checks,
		Changes: func(ctx context.Context, s id.Service, e id.Environment, before time.Time) ([]event.Event, error) {
			return a.learn.timeline.Changes(ctx, s, e, before, time.Hour)
		},
		Watch: func(e id.Environment) time.Duration {
			if env, ok := a.catalog.Load().Environments[e]; ok {
				return env.Watch.Std()
			}
			return 10 * time.Minute
		},
		Intake: a.monitor.router.Points.Load,
		Opened: a.opened,
		Closed: func(ctx context.Context, tx *sql.Tx, i state.Incident) error {
			return a.monitor.notifier.Tell(ctx, tx, a.message(i, notify.Resolved))
		},
	}); err != nil {
		return err
	}
	// Work starts once every kind of job has its handler, and ends after those who
	// still add jobs while they stop.
	a.group.Go("work", a.work.Run)
	a.group.Go("checks", a.monitor.checks.Run)
	return nil
}

func (m *monitor) query(ctx context.Context, target string, from, until time.Time) ([]metric.Series, error) {
	results, err := m.engine.Eval(ctx, query.Request{Targets: []string{target}, From: from.Unix(), Until: until.Unix(), Now: until.Unix()})
	if err != nil {
		return nil, err
	}
	series := make([]metric.Series, len(results))
	for i, r := range results {
		series[i] = r.Series
	}
	return series, nil
}

// checks are those of the definitions, of every service's steer.yaml and of the roles of hosts. A check
// without a team is its service's team's.
func (a *App) checks() []catalog.Check {
	all := append([]catalog.Check(nil), a.catalog.Load().Checks...)
	manifests, err := a.deliver.pipelines.Manifests(context.Background())
	if err != nil {
		a.log.Error("read the checks of services", "error", err)
		return a.known // what is watched must not shrink because the database hiccups
	}
	for _, m := range manifests {
		for _, c := range m.Checks {
			c.Service = m.Service
			if c.Team == "" {
				c.Team = m.Team
			}
			all = append(all, c)
		}
	}
	hosts, err := a.keeper.checks(context.Background())
	if err != nil {
		a.log.Error("read the checks of hosts", "error", err)
		return a.known
	}
	all = append(all, hosts...)
	a.known = all
	return all
}

// contacts of a team; incidents that belong to no team are everybody's.
func (a *App) contacts(team id.Team) (all []catalog.Contact) {
	teams := a.catalog.Load().Teams
	if t, ok := teams[team]; ok {
		return t.Notify
	}
	seen := map[catalog.Contact]bool{}
	for _, t := range teams {
		for _, c := range t.Notify {
			if !seen[c] {
				seen[c] = true
				all = append(all, c)
			}
		}
	}
	return all
}

// opened acts on a new incident in the transaction that opens it: people are
// told, and a deploy that is to blame is taken back.
func (a *App) opened(ctx context.Context, tx *sql.Tx, i state.Incident) error {
	if err := a.monitor.notifier.Tell(ctx, tx, a.message(i, notify.Opened)); err != nil {
		return err
	}
	if !i.Rollback || i.Service == "" {
		return nil
	}
	return a.takeBack(ctx, tx, i)
}

func (a *App) message(i state.Incident, t notify.Transition) notify.Message {
	m := notify.Message{
		Incident: i.ID, Transition: t, Title: i.Title, Summary: i.Summary, Severity: i.Severity,
		Service: i.Service, Environment: i.Environment, Version: i.Version, Team: i.Team,
		URL: fmt.Sprintf("%s/incidents/%d", a.URL(), i.ID), Runbook: i.Runbook, At: i.Opened, Opened: i.Opened, Chain: i.Chain, Cause: i.Event,
	}
	if t == notify.Resolved {
		m.Reason = i.ResolveReason
		if i.Resolved != nil {
			m.At = *i.Resolved
		}
	}
	for _, c := range i.Changes {
		m.Changes = append(m.Changes, strings.TrimSpace(c.Time.Format("15:04:05")+" "+c.Summary))
	}
	return m
}
