package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"slices"

	"steer/base/fault"
	"steer/base/git"
	"steer/base/id"
	"steer/catalog"
)

// DashboardSummary is a dashboard in the list of all.
type DashboardSummary struct {
	Name        string  `json:"name"`
	Title       string  `json:"title"`
	Team        id.Team `json:"team,omitempty"`
	Description string  `json:"description,omitempty"`
	Panels      int     `json:"panels" doc:"How many charts it has."`
}

// NewPanel is a panel to add.
type NewPanel struct {
	Title string        `json:"title,omitempty" maxLength:"200" doc:"Title of a new dashboard."`
	Panel catalog.Panel `json:"panel"`
}

// AddedPanel says what adding it led to.
type AddedPanel struct {
	Revision string `json:"revision"` // commit
	File     string `json:"file"`
	New      bool   `json:"new"` // the dashboard was made
}

// dashboards registers the endpoints. Dashboards belong to no environment, and
// change nothing that runs: whoever develops in any may add to them.
func (a *API) dashboards() {
	operation(a, http.MethodGet, "/dashboards", "list-dashboards", "All dashboards", viewer,
		func(context.Context, *none) ([]DashboardSummary, error) {
			all := a.o.Catalog().Dashboards
			out := make([]DashboardSummary, 0, len(all))
			for _, name := range slices.Sorted(maps.Keys(all)) {
				d := all[name]
				out = append(out, DashboardSummary{name, d.Title, d.Team, d.Description, len(d.Panels)})
			}
			return out, nil
		})
	operation(a, http.MethodGet, "/dashboards/{name}", "get-dashboard", "A dashboard and its panels", viewer,
		func(_ context.Context, in *struct {
			Name string `path:"name" doc:"Name of the dashboard's file, without .yaml."`
		}) (catalog.Dashboard, error) {
			return a.o.Catalog().Dashboard(in.Name)
		})
	placed(a, http.MethodPost, "/dashboards/{name}/panels", "add-panel", "Commit one more panel to a dashboard, or a new one with it", developer,
		func(ctx context.Context, in *struct {
			Name string `path:"name" doc:"Name of the dashboard's file, without .yaml."`
			Body NewPanel
		}) (AddedPanel, error) {
			return a.addPanel(ctx, in.Name, in.Body)
		})
}

func (a *API) addPanel(ctx context.Context, name string, n NewPanel) (AddedPanel, error) {
	if _, err := id.Parse[id.Service]("dashboard", name); err != nil {
		return AddedPanel{}, fault.New(fault.Invalid, "add panel: %w", err)
	}
	added := AddedPanel{File: "dashboards/" + name + ".yaml"}
	for try := 1; ; try++ { // another change may come between
		base, files := a.o.Definitions.Current()
		text, err := fs.ReadFile(files, added.File)
		if added.New = errors.Is(err, fs.ErrNotExist); err != nil && !added.New {
			return AddedPanel{}, fmt.Errorf("add panel: %w", err)
		}
		text, err = catalog.AddPanel(added.File, text, cmp.Or(n.Title, name), n.Panel)
		if err != nil {
			return AddedPanel{}, err
		}
		message := fmt.Sprintf("Dashboard %s: %s", name, cmp.Or(n.Panel.Title, "one more panel"))
		added.Revision, err = a.o.Definitions.Change(ctx, git.Change{Author: person(ctx), Message: message, Base: base, Files: map[string][]byte{added.File: text}})
		if fault.Of(err) != fault.Conflict || try == 3 {
			return added, err
		}
	}
}
