package grant

import (
	"context"
	"crypto/rand"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/issued"
	"gatehouse/internal/keys"
	"gatehouse/internal/ratelimit"
	"gatehouse/internal/tenant"
)

// Bounds of device authorizations (RFC 8628).
const (
	deviceLifetime = 10 * time.Minute
	deviceInterval = 5 * time.Second
)

// A user code is 8 of these 20 letters, 34 bits: no vowels, so no words, and none
// that look alike (RFC 8628 section 6.1). It lives for ten minutes and few may be
// tried.
const (
	userCodeLetters = "BCDFGHJKLMNPQRSTVWXZ"
	userCodeLength  = 8
)

// What may be tried: 34 bits against 10 a minute of one person, and 300 a minute
// of a whole tenant, leave a chance of less than 1 in 5 million for each code.
var (
	triesOfOne = ratelimit.Rate{Count: 10, Period: time.Minute}  //nolint:gochecknoglobals // a constant
	triesOfAll = ratelimit.Rate{Count: 300, Period: time.Minute} //nolint:gochecknoglobals // a constant
)

// How many may be begun: each is kept until it is over, whoever begins it.
var (
	begunByApp     = ratelimit.Rate{Count: 1200, Period: time.Minute} //nolint:gochecknoglobals // a constant
	begunByNetwork = ratelimit.Rate{Count: 300, Period: time.Minute}  //nolint:gochecknoglobals // a constant
)

// DeviceStore keeps device authorizations.
type DeviceStore interface {
	AddDevice(ctx context.Context, d issued.Device) error
	DeviceByUserCode(ctx context.Context, hash string) (issued.Device, error)
	// PollDevice reports whether the poll came too early.
	PollDevice(ctx context.Context, hash string, now time.Time) (d issued.Device, g issued.Grant, early bool, err error)
	DecideDevice(ctx context.Context, userCode string, g *issued.Grant, now time.Time) (bool, error)
	RedeemDevice(ctx context.Context, d issued.Device, made issued.Made, now time.Time) (bool, error)
}

// DevicesConfig is what Devices needs.
type DevicesConfig struct {
	Store DeviceStore
	Judge *Judge
	Now   func() time.Time // the clock
}

// Devices keeps the device authorizations of RFC 8628: a device begins one, a
// person decides about it on another device, and the first one polls for it.
type Devices struct {
	cfg   DevicesConfig
	tries *ratelimit.Limiter
}

// NewDevices returns Devices.
func NewDevices(cfg DevicesConfig) *Devices {
	return &Devices{cfg: cfg, tries: ratelimit.New(ratelimit.NewMemory(ratelimit.MemoryConfig{MaxKeys: 4096}))}
}

// DeviceRequest is what a person decides about.
type DeviceRequest struct {
	UserCode string // as people read it: BCDF-GHJK
	Server   string // id of the authorization server
	Client   string // id of the app
	Scopes   []string
	Expires  time.Time
}

// Begun is what a device is told.
type Begun struct {
	DeviceCode string
	UserCode   string // as people read it
	Expires    time.Duration
	Interval   time.Duration
}

// Begin begins a device authorization for an app, from an address. An app that cannot
// authenticate is anybody: there the address counts. It is refused with too_many_devices
// when there are too many.
func (d *Devices) Begin(ctx context.Context, t *Target, app *access.AppView, from string, scopes, resources []string, jkt string) (_ Begun, err error) {
	defer fault.Wrap(&err, "begin a device authorization")
	now := d.cfg.Now()
	key, rate := d.tries.Key("devices of an app", string(t.Tenant), app.ID), begunByApp
	if app.Public() {
		key, rate = d.tries.Key("devices of a network", string(t.Tenant), from), begunByNetwork
	}
	if !d.tries.Take(now, key, rate, 1).Allowed {
		return Begun{}, Refuse("too_many_devices", nil)
	}
	out := Begun{DeviceCode: keys.Secret(256), Expires: deviceLifetime, Interval: deviceInterval}
	for attempt := 0; ; attempt++ {
		code := newUserCode()
		err := d.cfg.Store.AddDevice(tenant.With(ctx, t.Tenant), issued.Device{
			Hash: keys.Hash(out.DeviceCode), UserCode: keys.Hash(code), Server: t.Server.ID, Client: app.ID, Scopes: scopes, Resources: resources, JKT: jkt,
			Interval: deviceInterval, Created: now, Expires: now.Add(deviceLifetime),
		})
		if fault.Is(err, fault.Conflict) && attempt < 3 {
			continue // the user code is taken
		}
		out.UserCode = code[:4] + "-" + code[4:]
		return out, err
	}
}

// newUserCode returns a fresh user code in its canonical form.
func newUserCode() string {
	out := make([]byte, 0, userCodeLength)
	var buf [16]byte
	for len(out) < userCodeLength {
		_, _ = rand.Read(buf[:])
		for _, c := range buf {
			if c < 240 && len(out) < userCodeLength { // 12 * 20: each letter is equally likely
				out = append(out, userCodeLetters[c%20])
			}
		}
	}
	return string(out)
}

// canonicalUserCode returns what somebody typed without what does not matter: case,
// hyphens and spaces.
func canonicalUserCode(typed string) (string, bool) {
	if len(typed) > 64 {
		return "", false
	}
	code := strings.Map(func(r rune) rune {
		if r == '-' || r == ' ' {
			return -1
		}
		return r
	}, strings.ToUpper(typed))
	bad := func(r rune) bool { return !strings.ContainsRune(userCodeLetters, r) }
	return code, len(code) == userCodeLength && !strings.ContainsFunc(code, bad)
}

// Find returns the undecided device authorization that a user code stands for.
// by names who tries: the id of the signed-in user. It is fault.NotFound when
// there is none, with the same answer for an unknown, an expired and a used code,
// and fault.RateLimited when too many have been tried.
func (d *Devices) Find(ctx context.Context, t *Target, userCode, by string) (_ DeviceRequest, err error) {
	defer fault.Wrap(&err, "find a device authorization")
	now := d.cfg.Now()
	if !d.tries.Take(now, d.tries.Key("user code", string(t.Tenant), by), triesOfOne, 1).Allowed ||
		!d.tries.Take(now, d.tries.Key("user codes", string(t.Tenant)), triesOfAll, 1).Allowed {
		return DeviceRequest{}, fault.New(fault.RateLimited, "too many codes have been tried, wait a minute")
	}
	dev, err := d.find(ctx, t, userCode)
	if err != nil {
		return DeviceRequest{}, err
	}
	code, _ := canonicalUserCode(userCode)
	return DeviceRequest{UserCode: code[:4] + "-" + code[4:], Server: dev.Server, Client: dev.Client, Scopes: dev.Scopes, Expires: dev.Expires}, nil
}

func (d *Devices) find(ctx context.Context, t *Target, userCode string) (issued.Device, error) {
	none := fault.New(fault.NotFound, "the code is not valid, or not any more")
	code, ok := canonicalUserCode(userCode)
	if !ok {
		return issued.Device{}, none
	}
	dev, err := d.cfg.Store.DeviceByUserCode(tenant.With(ctx, t.Tenant), keys.Hash(code))
	if fault.Is(err, fault.NotFound) || err == nil && (dev.State != issued.DevicePending || !d.cfg.Now().Before(dev.Expires)) {
		return issued.Device{}, none
	}
	return dev, err
}

// Approve decides a device authorization that Find has returned: what a says is
// granted. Its Client and Server are those of the request, and its scopes are
// among those that were asked for. A fault has the reasons of Codes.Issue;
// fault.NotFound when it was decided meanwhile.
func (d *Devices) Approve(ctx context.Context, t *Target, userCode string, a Authorization) (err error) {
	defer fault.Wrap(&err, "approve a device authorization")
	dev, err := d.find(ctx, t, userCode)
	if err != nil {
		return err
	}
	if a.Client != dev.Client || a.Server != "" && a.Server != dev.Server || t.Server.ID != dev.Server {
		return fault.New(fault.Invalid, "the authorization is for another app or server than the device's")
	}
	for _, s := range a.Scopes {
		if !slices.Contains(dev.Scopes, s) {
			return fault.New(fault.Invalid, "the device did not ask for the scope %q", s)
		}
	}
	ctx = tenant.With(ctx, t.Tenant)
	a.JKT, a.Resources = dev.JKT, dev.Resources
	if _, _, err := d.cfg.Judge.person(ctx, t, &a, access.GrantDeviceCode); err != nil {
		return err
	}
	g := newGrant(t, &a, access.GrantDeviceCode, d.cfg.Now())
	return d.decide(ctx, userCode, &g)
}

// Deny decides a device authorization: nothing is granted.
func (d *Devices) Deny(ctx context.Context, t *Target, userCode string) (err error) {
	defer fault.Wrap(&err, "deny a device authorization")
	if _, err := d.find(ctx, t, userCode); err != nil {
		return err
	}
	return d.decide(tenant.With(ctx, t.Tenant), userCode, nil)
}

func (d *Devices) decide(ctx context.Context, userCode string, g *issued.Grant) error {
	code, _ := canonicalUserCode(userCode)
	ok, err := d.cfg.Store.DecideDevice(ctx, keys.Hash(code), g, d.cfg.Now())
	if err == nil && !ok {
		err = fault.New(fault.NotFound, "the code is not valid, or not any more")
	}
	return err
}
