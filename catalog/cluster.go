package catalog

import "errors"

// Cluster is where an environment's pods are.
type Cluster struct {
	Context   string `yaml:"context" json:"context,omitempty" doc:"Context of the server's kubeconfig file, which names a cluster and a user; default: the one that the file uses."`
	Namespace string `yaml:"namespace" json:"namespace,omitempty" doc:"Namespace; default: that of the context. It must exist."`
}

// Check says what is wrong with the place.
func (c Cluster) Check() error {
	var all []error
	if len(c.Context) > 253 {
		all = append(all, wrong("context: it is longer than 253 characters"))
	}
	if c.Namespace != "" && !namespace(c.Namespace) {
		all = append(all, wrong("namespace: %q is no name of a namespace (small letters, digits and -, at most 63)", c.Namespace))
	}
	return errors.Join(all...)
}

// namespace tells whether s is a DNS label.
func namespace(s string) bool {
	for i, c := range s {
		letter := c >= 'a' && c <= 'z' || c >= '0' && c <= '9'
		if !letter && (c != '-' || i == 0 || i == len(s)-1) {
			return false
		}
	}
	return len(s) <= 63
}
