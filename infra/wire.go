package infra

import (
	"encoding/json"
	"fmt"

	"go.yaml.in/yaml/v4"

	"steer/base/config"
	"steer/base/fault"
)

// sent is a resource on its way to a host.
type sent struct {
	Declared
	Body string `json:"body"` // YAML
}

// Encode writes resources for the way to a host. It holds their secrets.
func Encode(all []Declared) (json.RawMessage, error) {
	out := make([]sent, len(all))
	for i, d := range all {
		b, err := yaml.Marshal(d.Resource)
		if err != nil {
			return nil, fmt.Errorf("write %s: %w", d.Ref(), err)
		}
		out[i] = sent{d, string(b)}
	}
	return json.Marshal(out)
}

// largestBody bounds one resource with its content.
const largestBody = 64 << 20

// Decode reads what Encode wrote, and checks it again.
func Decode(kinds Kinds, b json.RawMessage) ([]Declared, error) {
	var in []sent
	if err := json.Unmarshal(b, &in); err != nil {
		return nil, fault.New(fault.Invalid, "read the resources of a manifest: %w", err)
	}
	all := make([]Declared, len(in))
	for i, s := range in {
		kind, ok := kinds.Find(s.Kind)
		if !ok {
			return nil, fault.New(fault.Invalid, "%s: this version of Steer knows no kind %q", s.Ref(), s.Kind)
		}
		d := s.Declared
		d.Resource, d.Class = kind.New(), kind.Class
		if err := config.DecodeUpTo(d.Ref(), []byte(s.Body), largestBody, d.Resource); err != nil {
			if d.Sensitive {
				err = fault.New(fault.Invalid, "%s is wrong, and what is wrong is secret", d.Ref())
			}
			return nil, err
		}
		all[i] = d
	}
	return all, nil
}
