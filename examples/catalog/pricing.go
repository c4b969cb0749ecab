package main

// taxes are per cent of the price, by category.
var taxes = map[string]int{"food": 7, "books": 7, "kitchen": 19, "home": 19}

// Prices returns what customers pay for items, in cents with tax.
func Prices(items []Item) []int {
	prices := make([]int, len(items))
	for i, item := range items {
		prices[i] = (item.Cents*(100+taxes[item.Category]) + 50) / 100
	}
	return prices
}
