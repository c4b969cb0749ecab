// Smoke tests a running catalog, named by STEER_URL, as its customers use it.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

func main() {
	url := strings.TrimSuffix(os.Getenv("STEER_URL"), "/")
	if url == "" {
		fmt.Fprintln(os.Stderr, "error: STEER_URL is not set (the address of the service, like http://127.0.0.1:8080)")
		os.Exit(2)
	}
	failed := false
	for _, c := range []struct {
		what string
		f    func(string) error
	}{
		{"health", health}, {"page", page}, {"items have prices", items}, {"unknown item", unknown},
	} {
		if err := c.f(url); err != nil {
			fmt.Printf("error: %s: %v\n", c.what, err)
			failed = true
			continue
		}
		fmt.Println("ok:", c.what)
	}
	if failed {
		os.Exit(1)
	}
}

func get(url string) (status int, body string, err error) {
	client := http.Client{Timeout: 10 * time.Second}
	r, err := client.Get(url)
	if err != nil {
		return 0, "", err
	}
	defer r.Body.Close()
	b, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	return r.StatusCode, string(b), err
}

func expect(url string, status int, text string) error {
	got, body, err := get(url)
	if err == nil && (got != status || !strings.Contains(body, text)) {
		err = fmt.Errorf("GET %s: status %d, want %d with %q in %.200q", url, got, status, text, body)
	}
	return err
}

func health(url string) error  { return expect(url+"/healthz", 200, "ok") }
func page(url string) error    { return expect(url+"/", 200, "<h1>Catalog</h1>") }
func unknown(url string) error { return expect(url+"/items/99999", 404, "no such item") }

func items(url string) error {
	_, body, err := get(url + "/items")
	if err != nil {
		return err
	}
	var list []struct{ ID, Cents, Price int }
	if err := json.Unmarshal([]byte(body), &list); err != nil {
		return fmt.Errorf("GET %s/items: %w", url, err)
	}
	if len(list) == 0 {
		return fmt.Errorf("GET %s/items: nothing is for sale", url)
	}
	for _, item := range list {
		if item.Price <= item.Cents {
			return fmt.Errorf("item %d costs %d cents with tax and %d without", item.ID, item.Price, item.Cents)
		}
	}
	return nil
}
