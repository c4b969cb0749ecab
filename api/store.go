package api

import (
	"context"
	"net/http"

	"steer/base/fault"
	"steer/monitor/store"
)

func (a *API) store() {
	operation(a, http.MethodGet, "/store/stats", "store-stats", "What series take up in the metric store, by schema and archive", viewer,
		func(ctx context.Context, in *struct {
			Query string `query:"query" maxLength:"4096" doc:"Only the series that this Graphite glob matches; ** crosses nodes."`
		}) (store.Usage, error) {
			if a.o.Store == nil {
				return store.Usage{}, fault.New(fault.Conflict, "store stats: the metrics are in a cluster, which knows what they take up (store.driver: disk is counted here)")
			}
			return a.o.Store.Usage(ctx, in.Query)
		})
}
