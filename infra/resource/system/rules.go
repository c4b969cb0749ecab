package system

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"steer/base/fault"
)

// Rule is traffic to the host.
type Rule struct {
	Port      string `yaml:"port,omitempty" doc:"Port 22, ports 80,443 or a range 8000-8010; without it all traffic of the sender."`
	Protocol  string `yaml:"protocol,omitempty" doc:"tcp or udp." default:"tcp"`
	From      string `yaml:"from,omitempty" doc:"Senders: addresses or networks like 10.0.0.0/8, 2001:db8::/32, with commas between; without it everybody."`
	Interface string `yaml:"interface,omitempty" doc:"Network interface by which it comes."`
}

// Check refuses what nft would.
func (r *Rule) Check() error {
	if _, err := r.ports(); err != nil {
		return err
	}
	if _, _, err := r.senders(); err != nil {
		return err
	}
	switch {
	case r.Protocol != "tcp" && r.Protocol != "udp":
		return fault.New(fault.Invalid, "protocol: %q is not tcp or udp", r.Protocol)
	case r.Port == "" && r.From == "" && r.Interface == "":
		return fault.New(fault.Invalid, "port: is missing (a rule says port, from or interface)")
	case len(r.Interface) > 15 || strings.ContainsAny(r.Interface, " /\"\\\n\t"):
		return fault.New(fault.Invalid, "interface: %q is no name of an interface", r.Interface)
	}
	return nil
}

func (r *Rule) ports() ([]string, error) {
	if r.Port == "" {
		return nil, nil
	}
	var all []string
	for _, part := range strings.Split(r.Port, ",") {
		part = strings.ReplaceAll(part, " ", "")
		low, high, ranged := strings.Cut(part, "-")
		a, err1 := strconv.ParseUint(low, 10, 16)
		b, err2 := a, error(nil)
		if ranged {
			b, err2 = strconv.ParseUint(high, 10, 16)
		}
		if err1 != nil || err2 != nil || a == 0 || ranged && b <= a {
			return nil, fault.New(fault.Invalid, "port: %q is no port (write one like 22, some like 80,443, a range like 8000-8010)", r.Port)
		}
		all = append(all, part)
	}
	return all, nil
}

// senders lists the networks, by the name that nft has for their kind.
func (r *Rule) senders() (v4, v6 []string, err error) {
	if r.From == "" {
		return nil, nil, nil
	}
	for _, part := range strings.Split(r.From, ",") {
		part = strings.TrimSpace(part)
		address, err1 := netip.ParseAddr(part)
		network, err2 := netip.ParsePrefix(part)
		if err2 == nil {
			address, part = network.Addr(), network.Masked().String()
		}
		switch {
		case err1 != nil && err2 != nil || address.Zone() != "":
			return nil, nil, fault.New(fault.Invalid, "from: %q is no address or network (write one like 10.0.0.0/8)", part)
		case address.Is4():
			v4 = append(v4, part)
		default:
			v6 = append(v6, part)
		}
	}
	return v4, v6, nil
}

// lines are the rule in the language of nft: one for each kind of address.
func (r *Rule) lines(verdict string) []string {
	var before, after string
	if r.Interface != "" {
		before = fmt.Sprintf("iifname %q ", r.Interface)
	}
	if ports, _ := r.ports(); len(ports) > 0 {
		after = r.Protocol + " dport " + set(ports) + " "
	}
	v4, v6, _ := r.senders()
	if len(v4)+len(v6) == 0 {
		return []string{before + after + verdict}
	}
	var all []string
	if len(v4) > 0 {
		all = append(all, before+"ip saddr "+set(v4)+" "+after+verdict)
	}
	if len(v6) > 0 {
		all = append(all, before+"ip6 saddr "+set(v6)+" "+after+verdict)
	}
	return all
}

func set(all []string) string {
	if len(all) == 1 {
		return all[0]
	}
	return "{ " + strings.Join(all, ", ") + " }"
}
