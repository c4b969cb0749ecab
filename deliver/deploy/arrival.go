package deploy

import (
	"context"
	"fmt"
	"time"

	"steer/base/database"
	"steer/base/id"
)

// Arrival is a version that an environment has had, now or before.
type Arrival struct {
	Service     id.Service
	Environment id.Environment
	Version     id.Version
	Deploy      int64 // the last one that brought it
	At          time.Time
}

// Arrivals lists every version that passed in every environment, the newest deploy
// first: the first of a service and an environment is what serves there.
func (d *Deployer) Arrivals(ctx context.Context) ([]Arrival, error) {
	rows, err := d.o.DB.Read().QueryContext(ctx, `SELECT service, environment, version, max(id), max(finished) FROM deploy_deploy
		WHERE state = 'passed' GROUP BY service, environment, version ORDER BY max(id) DESC`)
	if err != nil {
		return nil, fmt.Errorf("list arrivals: %w", err)
	}
	defer rows.Close()
	var all []Arrival
	for rows.Next() {
		var a Arrival
		var at int64
		if err := rows.Scan(&a.Service, &a.Environment, &a.Version, &a.Deploy, &at); err != nil {
			return nil, fmt.Errorf("list arrivals: %w", err)
		}
		a.At = database.Time(at)
		all = append(all, a)
	}
	return all, rows.Err()
}
