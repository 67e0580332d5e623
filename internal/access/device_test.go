package access

import (
	"strings"
	"testing"
)

func TestDeviceCondition(t *testing.T) {
	yes, no := true, false
	none, registered, managed := Device{}, Device{Registered: true}, Device{Registered: true, Managed: true}
	for _, c := range []struct {
		name string
		rule *DeviceCondition
		fits []Device
	}{
		{"none", nil, []Device{none, registered, managed}},
		{"registered", &DeviceCondition{Registered: true}, []Device{registered, managed}},
		{"managed", &DeviceCondition{Registered: true, Managed: &yes}, []Device{managed}},
		{"not managed", &DeviceCondition{Registered: true, Managed: &no}, []Device{registered}},
	} {
		s := serverOf(policy("p", 1, []string{AllClients}, rule("r", 1, RuleConditions{GrantTypes: include(GrantClientCredentials), Scopes: include(AnyScope), Device: c.rule}, 5)))
		if s.AsksDevice() != (c.rule != nil) {
			t.Errorf("%s: AsksDevice %v", c.name, s.AsksDevice())
		}
		for _, d := range []Device{none, registered, managed} {
			var trace []Considered
			want := false
			for _, f := range c.fits {
				want = want || f == d
			}
			got := s.Evaluate(&Request{GrantType: GrantClientCredentials, Device: d}, &trace).Allowed
			if got != want {
				t.Errorf("%s, %s: %v", c.name, d, got)
			}
			if last := trace[len(trace)-1]; !want && (last.Reason != BecauseDevice || !strings.Contains(last.Detail, d.String())) {
				t.Errorf("%s, %s: %+v", c.name, d, last)
			}
		}
	}
	r := Rule{Server: "s", Policy: "p", Name: "r", Status: Active, Priority: 1, Conditions: RuleConditions{GrantTypes: include(GrantPassword), Device: &DeviceCondition{Managed: &yes}}}
	if err := checkRule(r.fill()); err == nil || !strings.Contains(err.Error(), "conditions.device.registered") {
		t.Errorf("managed without registered: %v", err)
	}
}
