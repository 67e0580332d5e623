package policy

import (
	"net/netip"

	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/ast"
	"github.com/cedar-policy/cedar-go/x/exp/eval"
)

// Addresses in screens: the client's, and literals.

// addressOf compiles context.ip and ip("192.0.2.1"); nil: neither.
func addressOf(n ast.IsNode) func(*sight) types.IPAddr {
	if nameOf(pathOf(n)) == "context.ip" {
		return func(s *sight) types.IPAddr {
			client := s.now().Client
			return types.IPAddr(netip.PrefixFrom(client, client.BitLen()))
		}
	}
	call, ok := n.(ast.NodeTypeExtensionCall)
	if !ok || call.Name != "ip" {
		return nil
	}
	value, err := eval.Eval(call, eval.Env{})
	network, ok := value.(types.IPAddr)
	if err != nil || !ok {
		return nil
	}
	return func(*sight) types.IPAddr { return network }
}

// network compiles context.ip.isInRange(ip("10.0.0.0/8")), isIpv4() and their like.
func (c *screens) network(v ast.NodeTypeExtensionCall) test {
	if len(v.Args) == 0 {
		return nil
	}
	of := addressOf(v.Args[0])
	if of == nil {
		return nil
	}
	switch {
	case v.Name == "isIpv4":
		return func(s *sight) bool { return of(s).IsIPv4() }
	case v.Name == "isIpv6":
		return func(s *sight) bool { return of(s).IsIPv6() }
	case v.Name == "isLoopback":
		return func(s *sight) bool { return of(s).IsLoopback() }
	case v.Name == "isMulticast":
		return func(s *sight) bool { return of(s).IsMulticast() }
	case v.Name == "isInRange" && len(v.Args) == 2:
		if within := addressOf(v.Args[1]); within != nil {
			return func(s *sight) bool { return within(s).Contains(of(s)) }
		}
	}
	return nil
}
