package policy

import (
	"math/bits"

	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/ast"
	"github.com/cedar-policy/cedar-go/x/exp/eval"
)

// Numbers in screens. Cedar's sums fail when they leave 64 bits, and what can fail is not for
// a screen; so each number is known with the least and the most that it can be, and a sum is
// screened when it stays far within.

// far is how far from zero a screened number may be at most, either way.
const far = 1 << 61

// The most that numbers of a request can be, with room to spare.
const (
	mostSeconds      = 1 << 40 // since 1970, and so since a sign-in
	mostMilliseconds = 1 << 50 // since 1970, either way
)

// unit is what a number counts; different ones are not compared.
type unit uint8

const (
	ofCount  unit = iota // Cedar's Long
	ofTime               // milliseconds since 1970
	ofLength             // milliseconds
)

// quantity is a compiled number with its bounds. Without a value it is none for a screen.
type quantity struct {
	value       func(*sight) int64
	least, most int64
	unit        unit
}

func constant(v int64, of unit) quantity {
	if v < -far || v > far {
		return quantity{}
	}
	return quantity{func(*sight) int64 { return v }, v, v, of}
}

// number compiles a whole number, a time or a length of time.
func (c *screens) number(n ast.IsNode) quantity {
	switch v := n.(type) {
	case ast.NodeValue:
		if l, ok := v.Value.(types.Long); ok {
			return constant(int64(l), ofCount)
		}
	case ast.NodeTypeExtensionCall:
		return c.span(v)
	case ast.NodeTypeAdd:
		return c.sum(v.Left, v.Right, 1)
	case ast.NodeTypeSub:
		return c.sum(v.Left, v.Right, -1)
	case ast.NodeTypeMult:
		return c.product(v.Left, v.Right)
	case ast.NodeTypeNegate:
		return c.sum(ast.NodeValue{Value: types.Long(0)}, v.Arg, -1)
	}
	return c.attribute(nameOf(pathOf(n)))
}

func (c *screens) attribute(name string) quantity {
	if !c.certain(name) {
		return quantity{}
	}
	switch name {
	case "context.hour":
		return quantity{func(s *sight) int64 { return int64(s.now().Now.Hour()) }, 0, 23, ofCount}
	case "context.minute":
		return quantity{func(s *sight) int64 { return int64(s.now().Now.Minute()) }, 0, 59, ofCount}
	case "context.asn":
		return quantity{func(s *sight) int64 { return int64(s.place().asn) }, 0, 1<<32 - 1, ofCount}
	case "context.auth_age":
		return quantity{func(s *sight) int64 { age, _ := s.signInAge(); return age }, 0, mostSeconds, ofCount}
	case "context.time":
		return quantity{func(s *sight) int64 { return s.now().Now.UnixMilli() }, -mostMilliseconds, mostMilliseconds, ofTime}
	}
	return quantity{}
}

// span compiles literal times and lengths, and context.time.offset(duration("1h")).
func (c *screens) span(v ast.NodeTypeExtensionCall) quantity {
	switch v.Name {
	case "datetime", "duration":
		value, err := eval.Eval(v, eval.Env{})
		if err != nil {
			return quantity{}
		}
		switch of := value.(type) {
		case types.Datetime:
			return constant(of.Milliseconds(), ofTime)
		case types.Duration:
			return constant(of.ToMilliseconds(), ofLength)
		}
	case "offset":
		if len(v.Args) != 2 {
			return quantity{}
		}
		at, by := c.number(v.Args[0]), c.number(v.Args[1])
		if at.unit != ofTime || by.unit != ofLength {
			return quantity{}
		}
		return at.plus(by, 1)
	}
	return quantity{}
}

func (c *screens) sum(left, right ast.IsNode, sign int64) quantity {
	a, b := c.number(left), c.number(right)
	if a.unit != ofCount || b.unit != ofCount {
		return quantity{}
	}
	return a.plus(b, sign)
}

// plus adds sign times b, whose unit is a's business.
func (a quantity) plus(b quantity, sign int64) quantity {
	if a.value == nil || b.value == nil {
		return quantity{}
	}
	least, most := a.least+b.least, a.most+b.most
	if sign < 0 {
		least, most = a.least-b.most, a.most-b.least
	}
	if least < -far || most > far {
		return quantity{}
	}
	return quantity{func(s *sight) int64 { return a.value(s) + sign*b.value(s) }, least, most, a.unit}
}

func (c *screens) product(left, right ast.IsNode) quantity {
	a, b := c.number(left), c.number(right)
	if a.value == nil || b.value == nil || a.unit != ofCount || b.unit != ofCount {
		return quantity{}
	}
	most := max(a.most, -a.least)
	over, low := bits.Mul64(uint64(most), uint64(max(b.most, -b.least)))
	if over != 0 || low > far {
		return quantity{}
	}
	bound := int64(low)
	return quantity{func(s *sight) int64 { return a.value(s) * b.value(s) }, -bound, bound, ofCount}
}
