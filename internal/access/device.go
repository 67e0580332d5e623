package access

import "strconv"

// Device is what is known of the device that a person has signed in on, or that an app
// which acts for itself calls from (docs/adr/0020). What is not known is not so.
type Device struct {
	// Registered: it holds a key that the person has enrolled and that cannot leave it, and
	// the sign-in has used that; or it is managed.
	Registered bool
	// Managed: it holds a certificate of an authority that the operator trusts to vouch for
	// devices, such as that of a device management, and has shown it.
	Managed bool
}

// String says it in words.
func (d Device) String() string {
	switch {
	case d.Managed:
		return "a managed device"
	case d.Registered:
		return "a registered device that is not managed"
	}
	return "a device of which nothing is known"
}

// DeviceCondition is what an access rule, or a rule of an app's sign-on policy, asks of the
// device, in Okta's shape (DeviceAccessPolicyRuleCondition). Its assurance and platforms need an agent of
// Okta's on the device; there is none here.
type DeviceCondition struct {
	Registered bool  `json:"registered"`        // always true: Okta has no rules for devices that are not
	Managed    *bool `json:"managed,omitempty"` // nil: either; false: only those that are not
}

func (d *DeviceCondition) check(c *checks) {
	if d != nil {
		c.that(d.Registered, "conditions.device.registered", "must be true: leave the condition out for devices of any kind")
	}
}

// rejects returns why a device does not fit; empty when it does.
func (d *DeviceCondition) rejects(is Device) string {
	is.Registered = is.Registered || is.Managed
	if d == nil || is.Registered && (d.Managed == nil || *d.Managed == is.Managed) {
		return ""
	}
	wanted := "registered devices"
	if d.Managed != nil {
		wanted += " with managed=" + strconv.FormatBool(*d.Managed)
	}
	return "it is for " + wanted + ", and this is " + is.String()
}

// AsksDevice reports whether a rule of the server is about devices.
func (s *ServerView) AsksDevice() bool { return s.asksDevice }
