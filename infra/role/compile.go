package role

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"steer/base/config"
	"steer/base/fault"
	"steer/infra"
)

// Use is a role that a host has.
type Use struct {
	Role string         `json:"role"`
	With map[string]any `json:"with,omitempty"` // parameters: texts, or values of YAML
}

// Input is what a host gives to its roles.
type Input struct {
	Facts infra.Facts
	// Secret returns the value for a parameter that is given as secret:NAME; nil: there
	// are none.
	Secret func(name string) (string, error)
}

// most bounds the resources of one host.
const most = 100_000

// compiler collects the manifest of one host.
type compiler struct {
	*Library
	Input
	host     map[string]any
	out      infra.Manifest
	included map[string]bool // role and parameters
	before   []link          // from before and subscribe
	secrets  []string
}

// link says that a resource, at place, names another that comes after it or that is
// told.
type link struct {
	key, place, from, to string
}

// Compile makes the manifest of a host that has some roles. Errors of kind Invalid
// name the file and line of the role, or the parameter.
func (l *Library) Compile(uses []Use, in Input) (infra.Manifest, error) {
	b, err := json.Marshal(in.Facts)
	if err != nil {
		return infra.Manifest{}, fmt.Errorf("compile roles: %w", err)
	}
	c := &compiler{Library: l, Input: in, included: map[string]bool{}}
	if err := json.Unmarshal(b, &c.host); err != nil {
		return infra.Manifest{}, fmt.Errorf("compile roles: %w", err)
	}
	c.host = wholeNumbers(c.host).(map[string]any)
	for _, u := range uses {
		r, err := l.Role(u.Role)
		if err != nil {
			return infra.Manifest{}, err
		}
		if err := c.role(r, u.With); err != nil {
			return infra.Manifest{}, err
		}
		c.out.Roles = append(c.out.Roles, u.Role)
	}
	if err := c.link(); err != nil {
		return c.out, err
	}
	return c.out, c.claims()
}

// wholeNumbers makes integers of what JSON made floating.
func wholeNumbers(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, in := range v {
			v[k] = wholeNumbers(in)
		}
	case float64:
		if v == float64(int(v)) {
			return int(v)
		}
	}
	return v
}

// role adds the resources of a role and of those that it includes.
func (c *compiler) role(r *Role, with map[string]any) error {
	data, secret, err := c.parameters(r, with)
	if err != nil {
		return err
	}
	key, err := json.Marshal(data)
	if err != nil {
		return fmt.Errorf("role %s: %w", r.Name, err)
	}
	if id := r.Name + " " + string(key); c.included[id] {
		return nil
	} else {
		c.included[id] = true
	}
	data["host"], data["role"] = c.host, r.Name
	for i, in := range r.Include {
		doc := c.docs[r.Name]
		yes, err := decide(in.When, data)
		if err != nil {
			return doc.Problem(fmt.Sprintf("include[%d].when", i), err.Error())
		}
		if !yes {
			continue
		}
		values := map[string]any{}
		for name, raw := range in.With {
			filled, err := raw.Expand(filler(data))
			if err == nil {
				values[name], err = filled.Value()
			}
			if err != nil {
				return err
			}
		}
		if err := c.role(c.roles[in.Role], values); err != nil {
			return fmt.Errorf("%s includes %s: %w", r.Name, in.Role, err)
		}
	}
	for _, raw := range r.Tests {
		filled, err := raw.Expand(filler(data))
		if err != nil {
			return err
		}
		c.out.Tests = append(c.out.Tests, filled)
	}
	for _, raw := range r.Checks {
		filled, err := raw.Expand(filler(data))
		if err != nil {
			return err
		}
		b, err := filled.YAML()
		if err != nil {
			return err
		}
		if slices.ContainsFunc(c.secrets, func(s string) bool { return strings.Contains(string(b), s) }) {
			return raw.Problem("a check is shown to people, and this one would hold a secret")
		}
		c.out.Checks = append(c.out.Checks, filled)
	}
	for _, raw := range r.Resources {
		if err := c.resource(r, raw, data, secret); err != nil {
			return err
		}
	}
	return nil
}

// parameters gives a role its values, and a pattern for uses of the secret ones.
func (c *compiler) parameters(r *Role, with map[string]any) (map[string]any, *regexp.Regexp, error) {
	for name := range with {
		if err := r.CheckParameter(name); err != nil {
			return nil, nil, err
		}
	}
	data := map[string]any{}
	var secret []string
	for _, name := range r.parameters() {
		p := r.Parameters[name]
		v, given := with[name]
		if !given && p.Default.IsZero() {
			return nil, nil, fault.New(fault.Invalid, "role %s: parameter %s is missing (%s)", r.Name, name, orElse(p.Doc, "it has no default"))
		}
		if !given {
			filled, err := p.Default.Expand(filler(map[string]any{"host": c.host}))
			if err == nil {
				v, err = filled.Value()
			}
			if err != nil {
				return nil, nil, err
			}
		}
		if text, ok := v.(string); ok && strings.HasPrefix(text, "secret:") {
			value, err := c.secret(strings.TrimPrefix(text, "secret:"))
			if err != nil {
				return nil, nil, fault.New(fault.Of(err), "role %s: parameter %s: %w", r.Name, name, err)
			}
			v, p.Secret = value, true
		}
		v, err := p.value(v)
		if err != nil {
			if p.Secret {
				err = fmt.Errorf("the secret is no %s, or does not match", p.Type)
			}
			return nil, nil, fault.New(fault.Invalid, "role %s: parameter %s: %w", r.Name, name, err)
		}
		if data[name] = v; p.Secret {
			c.out.Secret = true
			secret = append(secret, name)
			c.secrets = append(c.secrets, texts(v)...)
		}
	}
	if secret == nil {
		return data, nil, nil
	}
	return data, regexp.MustCompile(`\{\{[^}]*\.(` + strings.Join(secret, "|") + `)\b`), nil
}

func orElse(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func (c *compiler) secret(name string) (string, error) {
	if c.Secret == nil {
		return "", fault.New(fault.Invalid, "secret:%s: there are no secrets here", name)
	}
	return c.Secret(name)
}

// texts lists the texts in a value.
func texts(v any) []string {
	switch v := v.(type) {
	case []any:
		var all []string
		for _, one := range v {
			all = append(all, texts(one)...)
		}
		return all
	case map[string]any:
		var all []string
		for _, one := range v {
			all = append(all, texts(one)...)
		}
		return all
	}
	if s := fmt.Sprint(v); len(s) >= 4 { // shorter ones are everywhere
		return []string{s}
	}
	return nil
}

// resource adds what one item declares: nothing, one or, in a loop, several.
func (c *compiler) resource(r *Role, raw config.Raw, data map[string]any, secret *regexp.Regexp) error {
	it, err := c.item(raw)
	if err != nil {
		return err
	}
	if it.Each.IsZero() {
		return c.declare(r, it, data, secret)
	}
	filled, err := it.Each.Expand(filler(data))
	if err != nil {
		return err
	}
	v, err := filled.Value()
	if err != nil {
		return err
	}
	list, ok := v.([]any)
	if !ok {
		return it.Each.Problem(describe(v) + ", expected a list (or the template of a parameter that is one, in quotes)")
	}
	for _, one := range list {
		with := map[string]any{"item": one}
		for k, v := range data {
			with[k] = v
		}
		if err := c.declare(r, it, with, secret); err != nil {
			return err
		}
	}
	return nil
}

func (c *compiler) declare(r *Role, it item, data map[string]any, secret *regexp.Regexp) error {
	yes, err := decide(it.When, data)
	if err != nil {
		return it.raw.Field("when").Problem(err.Error())
	}
	if !yes {
		return nil
	}
	if len(c.out.Resources) >= most {
		return it.raw.Problem(fmt.Sprintf("a host has more than %d resources", most))
	}
	uses := it.Sensitive
	fill := filler(data)
	body, err := it.body.Expand(func(text string) (string, bool, error) {
		uses = uses || secret != nil && secret.MatchString(text)
		return fill(text)
	})
	if err != nil {
		return err
	}
	resource := it.kind.New()
	if err := body.Decode(resource); err != nil {
		if uses {
			return it.body.Problem("is wrong with the values that it gets, and they are secret")
		}
		return err
	}
	if s, ok := resource.(infra.Sourced); ok {
		read := func(name string) ([]byte, error) {
			b, err := c.read(r, name)
			uses = uses || secret != nil && secret.Match(b)
			return b, err
		}
		if err := s.Source(read, data); err != nil {
			return it.body.Problem(err.Error())
		}
	}
	d := infra.Declared{Kind: it.kind.Name, ID: resource.ID(), Resource: resource, Role: r.Name, Place: it.raw.Place(), Class: it.kind.Class, Heal: it.Heal, Sensitive: uses || c.holdsSecret(resource)}
	if d.Heal == "" {
		d.Heal = r.Heal
	}
	for _, s := range c.secrets {
		if strings.Contains(d.ID, s) {
			return it.raw.Problem("the resource would be called after a secret, and names are shown (give a command a name:, and put secrets into a file, template or block)")
		}
	}
	for _, list := range []struct {
		from []string
		to   *[]string
	}{{it.After, &d.After}, {it.Notify, &d.Notify}, {it.Tags, &d.Tags}} {
		for _, text := range list.from {
			filled, err := infra.Fill(text, data)
			if err != nil {
				return it.raw.Problem(err.Error())
			}
			*list.to = append(*list.to, filled)
		}
	}
	for key, list := range map[string][]string{"before": it.Before, "subscribe": it.Subscribe} {
		for _, text := range list {
			filled, err := infra.Fill(text, data)
			if err != nil {
				return it.raw.Problem(err.Error())
			}
			c.before = append(c.before, link{key, d.Place, d.Ref(), filled})
		}
	}
	for _, ref := range slices.Concat(d.After, d.Notify) {
		if err := infra.CheckRef(ref, c.kinds); err != nil {
			return it.raw.Problem(err.Error())
		}
	}
	c.out.Resources = append(c.out.Resources, d)
	return nil
}

// holdsSecret looks for secrets in what a resource declares, also in the encodings
// that templates can make.
func (c *compiler) holdsSecret(resource infra.Resource) bool {
	if len(c.secrets) == 0 {
		return false
	}
	b, err := yaml.Marshal(resource)
	if err != nil {
		return true
	}
	for _, s := range c.secrets {
		quoted, _ := json.Marshal(s)
		for _, form := range [][]byte{[]byte(s), bytes.Trim(quoted, `"`), []byte(base64.StdEncoding.EncodeToString([]byte(s)))} {
			if bytes.Contains(b, form) {
				return true
			}
		}
	}
	return false
}

// read reads a file of a role.
func (c *compiler) read(r *Role, file string) ([]byte, error) {
	full := path.Join(folder, r.Name, file)
	if !fs.ValidPath(file) || !fs.ValidPath(full) {
		return nil, fault.New(fault.Invalid, "%q is no file of the role (write a path below %s/%s, like files/motd)", file, folder, r.Name)
	}
	b, err := fs.ReadFile(r.files, full)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.New(fault.Invalid, "there is no file %s", full)
	}
	return b, err
}

// link resolves before and subscribe, whose other end may be declared later.
func (c *compiler) link() error {
	index := map[string]int{}
	var refs []string
	for i, d := range c.out.Resources {
		index[d.Ref()] = i
		refs = append(refs, d.Ref())
	}
	for _, l := range c.before {
		i, ok := index[l.to]
		if !ok {
			return fault.New(fault.Invalid, "%s: %s of %s names %s, which no role of this host declares%s", l.place, l.key, l.from, l.to, config.Suggest(l.to, refs))
		}
		if l.key == "before" {
			c.out.Resources[i].After = append(c.out.Resources[i].After, l.from)
		} else {
			c.out.Resources[i].Notify = append(c.out.Resources[i].Notify, l.from)
		}
	}
	return nil
}

var onlyName = regexp.MustCompile(`^\{\{-? *\.([a-z0-9_]+(?:\.[a-z0-9_]+)*) *-?\}\}$`)

// filler fills texts. One that is nothing but the name of a value becomes that value,
// be it a number or a list.
func filler(data map[string]any) func(string) (string, bool, error) {
	return func(text string) (string, bool, error) {
		if m := onlyName.FindStringSubmatch(text); m != nil {
			var v any = data
			for _, step := range strings.Split(m[1], ".") {
				in, _ := v.(map[string]any)
				v = in[step]
			}
			switch v.(type) {
			case nil, string:
			default:
				b, err := json.Marshal(v)
				return string(b), true, err
			}
		}
		filled, err := infra.Fill(text, data)
		return filled, false, err
	}
}

// decide says whether a condition holds. No condition always does.
func decide(when string, data map[string]any) (bool, error) {
	if when == "" {
		return true, nil
	}
	text, err := infra.Fill(when, data)
	if err != nil {
		return false, err
	}
	switch strings.TrimSpace(text) {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, fault.New(fault.Invalid, "the condition makes %q, neither true nor false (write it like \"{{ eq .host.os.id \\\"debian\\\" }}\")", text)
}
