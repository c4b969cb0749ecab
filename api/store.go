package api

import (
	"context"
	"net/http"

	"steer/monitor/store"
)

func (a *API) store() {
	operation(a, http.MethodGet, "/store/stats", "store-stats", "What series take up in the metric store, by schema and archive", viewer,
		func(ctx context.Context, in *struct {
			Query string `query:"query" maxLength:"4096" doc:"Only the series that this Graphite glob matches; ** crosses nodes."`
		}) (store.Usage, error) {
			return a.o.Usage(ctx, in.Query)
		})
}
