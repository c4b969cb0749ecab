package tour

import "fmt"

// What the tour writes to its definitions repository, and beside it for the server.

const environments = `# Where services run. One node for trying out, two for customers: more than one
# get a load balancer without asking.
ci:
  nodes:
  - services: [catalog-service]
    number: 1
production:
  nodes:
  - services: [catalog-service]
    number: 2
`

const services = `# What runs. How it is built, delivered and watched is in its own steer.yaml.
catalog-service:
  artifact: catalog
  team: storefront
  connectivity:
  - protocol: tcp
    ports: [8080]
    allowed: [WORLD]
`

// teams names the people who are told, here by a webhook.
func teams(webhook string) string {
	return fmt.Sprintf(`# Who owns services, and where they are told about incidents.
storefront:
  members: [ada]
  notify:
  - webhook: %s
`, webhook)
}

// schemas keeps what is measured every 2 s, so that a tour has something to see
// after seconds; a usual server keeps 10 s.
const schemas = `# Carbon's syntax: the first pattern that matches counts.
[statsd]
pattern = ^(stats|stats_counts|balance)\.
retentions = 2s:1h,10s:6h,1m:7d

[everything-else]
pattern = .*
retentions = 10s:6h,1m:30d
`
