package main

import (
	_ "embed"
	"encoding/json"
)

// Item is something that the shop sells.
type Item struct {
	ID       int    `json:"id"`
	Name     string `json:"name"`
	Category string `json:"category"`
	Cents    int    `json:"cents"` // without tax
}

//go:embed items.json
var itemsJSON []byte

func loadItems() ([]Item, error) {
	var items []Item
	return items, json.Unmarshal(itemsJSON, &items)
}
