package main

import (
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"strconv"
	"time"
)

// offer is an item as customers see it.
type offer struct {
	Item
	Price int `json:"price"` // cents, with tax
}

// Euro is the price for people.
func (o offer) Euro() string { return fmt.Sprintf("€ %d.%02d", o.Price/100, o.Price%100) }

var page = template.Must(template.New("page").Parse(`<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Catalog</title>
<style>body{font:16px/1.5 system-ui;max-width:40rem;margin:2rem auto;padding:0 1rem}td{padding:.3rem 1rem .3rem 0}td+td+td{text-align:right}footer{color:#666;margin-top:2rem}</style>
<h1>Catalog</h1><table>{{range .Offers}}<tr><td><a href="/items/{{.ID}}">{{.Name}}</a><td>{{.Category}}<td>{{.Euro}}{{end}}</table>
<footer>version {{.Version}} in {{.Environment}}</footer></html>
`))

// shop is the service's HTTP side.
func shop(version, environment string, metrics *statsd) http.Handler {
	items, err := loadItems()
	if err != nil {
		panic("items.json: " + err.Error()) // a test reads it as well
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		page.Execute(w, map[string]any{"Offers": offers(items), "Version": version, "Environment": environment})
	})
	mux.HandleFunc("GET /items", func(w http.ResponseWriter, r *http.Request) { answer(w, offers(items)) })
	mux.HandleFunc("GET /items/{id}", func(w http.ResponseWriter, r *http.Request) {
		id, err := strconv.Atoi(r.PathValue("id"))
		if err != nil || id < 1 || id > len(items) {
			http.Error(w, "no such item", http.StatusNotFound)
			return
		}
		answer(w, offers(items[id-1 : id])[0])
	})
	measured := http.NewServeMux()
	measured.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, "ok") })
	measured.Handle("/", measure(mux, version, metrics))
	return measured
}

func offers(items []Item) []offer {
	prices := Prices(items)
	list := make([]offer, len(items))
	for i, item := range items {
		list[i] = offer{item, prices[i]}
	}
	return list
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(v)
}

// measure sends the time to the first byte of every answer.
func measure(next http.Handler, version string, metrics *statsd) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Version", version)
		first := &firstByte{ResponseWriter: w}
		start := time.Now()
		next.ServeHTTP(first, r)
		if first.at.IsZero() {
			first.at = time.Now()
		}
		metrics.request(first.at.Sub(start))
	})
}

type firstByte struct {
	http.ResponseWriter
	at time.Time
}

func (f *firstByte) WriteHeader(status int) {
	if f.at.IsZero() {
		f.at = time.Now()
	}
	f.ResponseWriter.WriteHeader(status)
}

func (f *firstByte) Write(p []byte) (int, error) {
	if f.at.IsZero() {
		f.at = time.Now()
	}
	return f.ResponseWriter.Write(p)
}
