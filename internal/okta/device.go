package okta

import (
	"encoding/json"

	"gatehouse/internal/access"
)

// deviceCondition reads a condition about devices as Okta's app sign-on rules have it
// (DeviceAccessPolicyRuleCondition); nil for none. What only an agent on the device could
// tell is refused: a rule that is kept and never asked would be believed.
func deviceCondition(raw json.RawMessage) (*access.DeviceCondition, error) {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(raw, &all); err != nil {
		return nil, unsupported("conditions.device", "must be an object with registered and managed")
	}
	for name, v := range all {
		switch said := string(v); {
		case name == "registered", name == "managed", said == "null", said == "{}", said == "[]", said == `{"include":[]}`:
		case name == "assurance", name == "platform", name == "rooted", name == "trustLevel", name == "migrated":
			return nil, unsupported("conditions.device."+name, "needs an agent on the device, and there is none here: leave it out. What can be asked is registered and managed")
		default:
			return nil, unsupported("conditions.device."+name, "is not known: what can be asked is registered and managed")
		}
	}
	if len(all) == 0 {
		return nil, nil //nolint:nilnil // an empty condition is none
	}
	var d access.DeviceCondition
	if err := json.Unmarshal(raw, &d); err != nil {
		return nil, unsupported("conditions.device", "must have true or false as registered and managed")
	}
	return &d, nil
}
