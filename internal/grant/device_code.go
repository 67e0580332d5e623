package grant

import (
	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/issued"
	"gatehouse/internal/keys"
	"gatehouse/internal/tenant"
)

// deviceCode is RFC 8628 section 3.4: a device polls until a person has decided.
type deviceCode struct{}

func (deviceCode) name() string { return access.GrantDeviceCode }

// prove finds the device authorization and what was decided about it. A poll that
// comes too early makes the interval longer.
func (deviceCode) prove(e *Endpoint, x *exchange) error {
	code := x.form.Get("device_code")
	if code == "" {
		return Refuse("token_request_missing_device_code", nil)
	}
	now := e.cfg.Now()
	d, g, early, err := e.cfg.Devices.PollDevice(tenant.With(x.ctx(), x.target.Tenant), keys.Hash(code), now)
	switch {
	case fault.Is(err, fault.NotFound):
		return Refuse("invalid_device_code", nil)
	case err != nil:
		return err
	case d.Client != x.app.ID || d.Server != x.target.Server.ID:
		return Refuse("invalid_device_code", nil)
	case !now.Before(d.Expires):
		return Refuse("device_code_expired", nil)
	case early:
		return Refuse("slow_down", nil)
	}
	switch d.State {
	case issued.DevicePending:
		return Refuse("authorization_pending", nil)
	case issued.DeviceDenied:
		return Refuse("device_denied", nil)
	case issued.DeviceApproved:
		x.device, x.kept = &d, &g
		return x.bound()
	}
	return Refuse("invalid_device_code", nil)
}

// narrow takes the scopes that the person has granted.
func (deviceCode) narrow(x *exchange) error {
	x.scopes = x.kept.Scopes
	return nil
}

// persist uses the device code.
func (deviceCode) persist(e *Endpoint, x *exchange) error {
	x.firstRefresh()
	ok, err := e.cfg.Devices.RedeemDevice(tenant.With(x.ctx(), x.target.Tenant), *x.device, x.made, e.cfg.Now())
	if err == nil && !ok {
		err = Refuse("invalid_device_code", nil)
	}
	return err
}
