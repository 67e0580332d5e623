package grant

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"gatehouse/internal/access"
)

// ServeDevice answers the device authorization endpoint (RFC 8628 section 3.1). page
// is the address of the page where people type the user code.
func (e *Endpoint) ServeDevice(w http.ResponseWriter, r *http.Request, t *Target, devices *Devices, page string) {
	b, err := e.beginDevice(w, r, t, devices)
	if err != nil {
		WriteError(w, r, e.cfg.Log, err)
		return
	}
	body := make([]byte, 0, 512)
	body = append(body, '{')
	body = memberString(body, "device_code", b.DeviceCode)
	body = memberString(body, "user_code", b.UserCode)
	body = memberString(body, "verification_uri", page)
	body = memberString(body, "verification_uri_complete", page+"?user_code="+url.QueryEscape(b.UserCode))
	body = memberInt(body, "expires_in", int64(b.Expires/time.Second))
	body = memberInt(body, "interval", int64(b.Interval/time.Second))
	WriteJSON(w, http.StatusOK, append(body, '}'))
}

func (e *Endpoint) beginDevice(w http.ResponseWriter, r *http.Request, t *Target, devices *Devices) (Begun, error) {
	x := &exchange{w: w, r: r, target: t, grant: deviceCode{}}
	var err error
	if x.form, err = ReadForm(w, r); err != nil {
		return Begun{}, err
	}
	if x.app, err = e.cfg.Clients.Authenticate(r, &x.form, t, "device/authorize"); err != nil { //nolint:contextcheck // a request carries its context
		return Begun{}, err
	}
	if !x.app.MayUse(access.GrantDeviceCode) {
		return Begun{}, Refuse("unauthorized_client", nil, strings.Join(x.app.GrantTypes, ", "))
	}
	if err := e.bindKey(x, "device/authorize"); err != nil {
		return Begun{}, err
	}
	anyScope := func(*access.Scope) error { return nil }
	if err := narrow(x, anyScope); err != nil {
		return Begun{}, err
	}
	if x.form.Has("authorization_details") {
		// What is not kept must not be ignored: the app would believe that it was shown.
		return Begun{}, Refuse("invalid_authorization_details", nil, "a device's request has none")
	}
	if err := e.narrowTargets(x); err != nil {
		return Begun{}, err
	}
	if err := x.useProof(r.Context()); err != nil {
		return Begun{}, err
	}
	return devices.Begin(r.Context(), t, x.app, RequestClient(r).IP, x.scopes, x.audience, x.jkt)
}
