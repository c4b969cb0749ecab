package deploy

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"steer/base/database"
	"steer/base/event"
	"steer/base/fault"
	"steer/base/id"
)

// Pin keeps a version out of "latest" and away from automation. People can still
// deploy it by name.
func (d *Deployer) Pin(ctx context.Context, s id.Service, v id.Version, who id.Person, reason string) error {
	if v == "" || v == id.Latest || v == id.Local {
		return fault.New(fault.Invalid, "pin %s of %s: name one version, like b12", v, s)
	}
	return d.o.DB.Tx(ctx, func(tx *sql.Tx) error {
		_, err := d.pin(ctx, tx, Pin{Service: s, Version: v, By: who, Reason: reason}, "", "")
		return err
	})
}

// pin returns the id of its event; that of an earlier pin is empty, since it stays
// as it is.
func (d *Deployer) pin(ctx context.Context, tx *sql.Tx, p Pin, chain, cause string) (string, error) {
	result, err := tx.ExecContext(ctx, `INSERT INTO deploy_pin (service, version, person, reason, since) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (service, version) DO NOTHING`, string(p.Service), string(p.Version), string(p.By), p.Reason, database.Micros(time.Now()))
	if err != nil {
		return "", fmt.Errorf("pin %s of %s: %w", p.Version, p.Service, err)
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return "", err
	}
	e := event.Event{Source: source, Type: event.VersionPinned, Subject: subjectVersion(p.Service, p.Version), Actor: p.By, Reason: p.Reason,
		Summary: fmt.Sprintf("%s %s is kept out of latest", p.Service, p.Version), Service: p.Service, Version: p.Version, Chain: chain, Cause: cause}
	return appended(&e, d.o.Journal.Append(ctx, tx, &e))
}

// Unpin lets a version be latest again.
func (d *Deployer) Unpin(ctx context.Context, s id.Service, v id.Version, who id.Person, reason string) error {
	return d.o.DB.Tx(ctx, func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, `DELETE FROM deploy_pin WHERE service = $1 AND version = $2`, string(s), string(v))
		if err != nil {
			return fmt.Errorf("unpin %s of %s: %w", v, s, err)
		}
		if n, err := result.RowsAffected(); err != nil {
			return err
		} else if n == 0 {
			return fault.New(fault.NotFound, "unpin %s of %s: it is not pinned", v, s)
		}
		return d.o.Journal.Append(ctx, tx, &event.Event{Source: source, Type: event.VersionFreed, Subject: subjectVersion(s, v), Actor: who, Reason: reason,
			Summary: fmt.Sprintf("%s %s may be latest again", s, v), Service: s, Version: v})
	})
}

// Pins lists the pins of a service, or of all with "", newest first.
func (d *Deployer) Pins(ctx context.Context, s id.Service) ([]Pin, error) {
	l, err := pins(ctx, d.o.DB.Read(), s)
	if err != nil {
		return nil, fmt.Errorf("list pins: %w", err)
	}
	return l, nil
}

func pins(ctx context.Context, q querier, s id.Service) ([]Pin, error) {
	rows, err := q.QueryContext(ctx, `SELECT service, version, person, reason, since FROM deploy_pin WHERE service = $1 OR $2 = '' ORDER BY since DESC, version`, string(s), string(s))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	r := []Pin{}
	for rows.Next() {
		var p Pin
		var since int64
		if err := rows.Scan(&p.Service, &p.Version, &p.By, &p.Reason, &since); err != nil {
			return nil, err
		}
		p.Since = database.Time(since)
		r = append(r, p)
	}
	return r, rows.Err()
}

// Hold keeps automation away from a service in an environment: no deploy by a
// pipeline and no automatic rollback, until Release. The newest hold counts.
func (d *Deployer) Hold(ctx context.Context, e id.Environment, s id.Service, who id.Person, reason string) error {
	if _, _, err := d.o.Environment(e, s); err != nil {
		return fault.New(fault.Of(err), "hold %s in %q: %w", s, e, err)
	}
	return d.o.DB.Tx(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `INSERT INTO deploy_hold (environment, service, person, reason, since) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (environment, service) DO UPDATE SET person = excluded.person, reason = excluded.reason, since = excluded.since`,
			string(e), string(s), string(who), reason, database.Micros(time.Now())); err != nil {
			return fmt.Errorf("hold %s in %s: %w", s, e, err)
		}
		return d.o.Journal.Append(ctx, tx, &event.Event{Source: source, Type: event.PlacementHeld, Subject: subjectPlacement(place{e, s}), Actor: who, Reason: reason,
			Summary: fmt.Sprintf("Automation is on hold for %s in %s", s, e), Service: s, Environment: e})
	})
}

// Release ends a hold.
func (d *Deployer) Release(ctx context.Context, e id.Environment, s id.Service, who id.Person, reason string) error {
	return d.o.DB.Tx(ctx, func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, `DELETE FROM deploy_hold WHERE environment = $1 AND service = $2`, string(e), string(s))
		if err != nil {
			return fmt.Errorf("release %s in %s: %w", s, e, err)
		}
		if n, err := result.RowsAffected(); err != nil {
			return err
		} else if n == 0 {
			return fault.New(fault.NotFound, "release %s in %s: there is no hold", s, e)
		}
		return d.o.Journal.Append(ctx, tx, &event.Event{Source: source, Type: event.PlacementReleased, Subject: subjectPlacement(place{e, s}), Actor: who, Reason: reason,
			Summary: fmt.Sprintf("Automation goes on for %s in %s", s, e), Service: s, Environment: e})
	})
}

// Holds lists all holds, newest first.
func (d *Deployer) Holds(ctx context.Context) ([]Hold, error) {
	l, err := holds(ctx, d.o.DB.Read(), place{})
	if err != nil {
		return nil, fmt.Errorf("list holds: %w", err)
	}
	return l, nil
}

// holds returns those of a place, or all of them.
func holds(ctx context.Context, q querier, p place) ([]Hold, error) {
	rows, err := q.QueryContext(ctx, `SELECT environment, service, person, reason, since FROM deploy_hold
		WHERE $1 = '' OR environment = $2 AND service = $3 ORDER BY since DESC`, string(p.environment), string(p.environment), string(p.service))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	r := []Hold{}
	for rows.Next() {
		var h Hold
		var since int64
		if err := rows.Scan(&h.Environment, &h.Service, &h.By, &h.Reason, &since); err != nil {
			return nil, err
		}
		h.Since = database.Time(since)
		r = append(r, h)
	}
	return r, rows.Err()
}
