package client

import "steer/deliver/deploy"

// Node is one running copy of a service.
type Node = deploy.Node
