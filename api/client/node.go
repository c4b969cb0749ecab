package client

import "steer/deliver/deploy"

// Node is one running copy of a service.
type Node = deploy.Node

// Placement is a service in an environment as it is now.
type Placement = deploy.Placement
