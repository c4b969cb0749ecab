package main

import (
	"encoding/json"
	"net"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"
)

func get(t *testing.T, path string, metrics *statsd) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	shop("b1", "test", metrics).ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	return w
}

func TestItems(t *testing.T) {
	items, err := loadItems()
	if err != nil {
		t.Fatal(err)
	}
	for i, item := range items {
		if item.ID != i+1 || item.Name == "" || item.Cents <= 0 {
			t.Errorf("item %d: %+v", i+1, item)
		}
		if _, ok := taxRates()[item.Category]; !ok {
			t.Errorf("item %d: no tax for category %q", item.ID, item.Category)
		}
	}
}

// taxRates derives the rates from what customers pay.
func taxRates() map[string]int {
	rates := map[string]int{}
	for _, c := range []string{"food", "books", "kitchen", "home"} {
		rates[c] = Prices([]Item{{Category: c, Cents: 10000}})[0]/100 - 100
	}
	return rates
}

func TestPrices(t *testing.T) {
	for _, c := range []struct {
		item Item
		want int
	}{
		{Item{Category: "kitchen", Cents: 900}, 1071},
		{Item{Category: "food", Cents: 350}, 375}, // 374.5 rounds up
		{Item{Category: "books", Cents: 1900}, 2033},
	} {
		if got := Prices([]Item{c.item})[0]; got != c.want {
			t.Errorf("price of %+v is %d, want %d", c.item, got, c.want)
		}
	}
}

func TestAnswers(t *testing.T) {
	for path, want := range map[string]struct {
		status int
		text   string
	}{
		"/":         {200, "Wool blanket"},
		"/items":    {200, `"name":"Enamel mug"`},
		"/items/9":  {200, `"price":375`},
		"/items/0":  {404, "no such item"},
		"/items/x":  {404, "no such item"},
		"/items/11": {404, "no such item"},
		"/healthz":  {200, "ok"},
		"/other":    {404, ""},
	} {
		w := get(t, path, nil)
		if w.Code != want.status || !strings.Contains(w.Body.String(), want.text) {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
	var list []offer
	if err := json.Unmarshal(get(t, "/items", nil).Body.Bytes(), &list); err != nil || len(list) != 10 {
		t.Errorf("%d items, %v", len(list), err)
	}
}

func TestMetrics(t *testing.T) {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	host, port, _ := net.SplitHostPort(conn.LocalAddr().String())
	metrics, err := dial(host, port, "catalog.test.")
	if err != nil {
		t.Fatal(err)
	}
	get(t, "/healthz", metrics) // is not measured
	get(t, "/items", metrics)
	conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	buf := make([]byte, 1500)
	n, _, err := conn.ReadFrom(buf)
	if want := `^catalog\.test\.ttfb:\d+\.\d{3}\|ms\ncatalog\.test\.requests:1\|c$`; err != nil || !regexp.MustCompile(want).Match(buf[:n]) {
		t.Errorf("sent %q, %v; want %s", buf[:n], err, want)
	}
	if none, err := dial("", "", "x"); none != nil || err != nil {
		t.Errorf("without an address: %v, %v", none, err)
	}
}
