package catalog

import "steer/base/id"

// Catalog is the parsed content of the definitions repository.
type Catalog struct {
	Environments map[id.Environment]Environment
	Services     map[string]Service // by entry name
	Teams        map[id.Team]Team
	Checks       []Check
}
