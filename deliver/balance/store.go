package balance

import (
	"context"
	"database/sql"
	"embed"
	"encoding/json"
	"fmt"
	"net"

	"steer/base/id"
)

//go:embed migrations
var migrations embed.FS

// save writes a frontend and its ports.
func (b *Balancer) save(ctx context.Context, k key, f Frontend, ports map[string]int) error {
	body, err := json.Marshal(f)
	if err != nil {
		return fmt.Errorf("balance %s: write frontend: %w", k, err)
	}
	err = b.o.DB.Tx(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `INSERT INTO balance_frontend (instance, environment, service, body) VALUES ($1, $2, $3, $4)
			ON CONFLICT (instance, environment, service) DO UPDATE SET body = excluded.body`,
			b.o.Instance, string(k.environment), string(k.service), string(body)); err != nil {
			return err
		}
		if err := b.forgetPorts(ctx, tx, k); err != nil {
			return err
		}
		for name, port := range ports {
			if _, err := tx.ExecContext(ctx, `INSERT INTO balance_port (instance, environment, service, name, port) VALUES ($1, $2, $3, $4, $5)`,
				b.o.Instance, string(k.environment), string(k.service), name, port); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("balance %s: write frontend: %w", k, err)
	}
	return nil
}

func (b *Balancer) forgetPorts(ctx context.Context, tx *sql.Tx, k key) error {
	_, err := tx.ExecContext(ctx, `DELETE FROM balance_port WHERE instance = $1 AND environment = $2 AND service = $3`,
		b.o.Instance, string(k.environment), string(k.service))
	return err
}

// forget removes a frontend and its ports.
func (b *Balancer) forget(ctx context.Context, k key) error {
	err := b.o.DB.Tx(ctx, func(tx *sql.Tx) error {
		if err := b.forgetPorts(ctx, tx, k); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `DELETE FROM balance_frontend WHERE instance = $1 AND environment = $2 AND service = $3`,
			b.o.Instance, string(k.environment), string(k.service))
		return err
	})
	if err != nil {
		return fmt.Errorf("balance %s: remove frontend: %w", k, err)
	}
	return nil
}

// restore opens what was saved.
func (b *Balancer) restore(ctx context.Context) error {
	fronts, err := b.loadFrontends(ctx)
	if err != nil {
		return fmt.Errorf("balance: read frontends: %w", err)
	}
	if err := b.loadPorts(ctx); err != nil {
		return fmt.Errorf("balance: read ports: %w", err)
	}
	for _, f := range fronts {
		k := key{f.Environment, f.Service}
		opened := sockets{map[string]net.Listener{}, map[string]int{}, map[string]string{}}
		for name := range f.Ports {
			port := b.ports[portKey{k, name}]
			opened.ports[name] = port
			l, err := b.listen(port)
			if err != nil {
				b.log.Error("cannot open the port of a service, trying again every second", "service", k.service, "environment", k.environment, "error", err)
				opened.problems[name] = err.Error()
				continue
			}
			opened.fresh[name] = l
		}
		b.apply(k, &front{pool: newPool(k)}, f, opened)
	}
	return nil
}

func (b *Balancer) loadFrontends(ctx context.Context) ([]Frontend, error) {
	rows, err := b.o.DB.Read().QueryContext(ctx, `SELECT body FROM balance_frontend WHERE instance = $1 ORDER BY environment, service`, b.o.Instance)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var r []Frontend
	for rows.Next() {
		var body string
		var f Frontend
		if err := rows.Scan(&body); err != nil {
			return nil, err
		}
		if err := json.Unmarshal([]byte(body), &f); err != nil {
			return nil, err
		}
		r = append(r, f)
	}
	return r, rows.Err()
}

func (b *Balancer) loadPorts(ctx context.Context) error {
	rows, err := b.o.DB.Read().QueryContext(ctx, `SELECT environment, service, name, port FROM balance_port WHERE instance = $1`, b.o.Instance)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var e, s, name string
		var port int
		if err := rows.Scan(&e, &s, &name, &port); err != nil {
			return err
		}
		b.ports[portKey{key{id.Environment(e), id.Service(s)}, name}] = port
	}
	return rows.Err()
}

// reopen tries the ports that could not be opened.
func (b *Balancer) reopen() {
	b.change.Lock()
	defer b.change.Unlock()
	b.mu.Lock()
	defer b.mu.Unlock()
	for k, f := range b.fronts {
		for name := range f.problems {
			s, err := b.listen(b.ports[portKey{k, name}])
			if err != nil {
				f.problems[name] = err.Error()
				continue
			}
			delete(f.problems, name)
			f.listeners[name] = b.open(f.pool, name, f.Ports[name].Protocol, s)
			b.log.Info("the port of a service is open again", "service", k.service, "environment", k.environment, "port", f.listeners[name].port)
		}
	}
}
