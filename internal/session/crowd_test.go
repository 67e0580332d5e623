package session

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"

	"gatehouse/internal/fault"
)

// shelf is a store of what waits.
type shelf struct{ all []Waiting }

func (s *shelf) AddWaiting(_ context.Context, w Waiting) error { s.all = append(s.all, w); return nil }
func (*shelf) Waiting(context.Context, string, string) (Waiting, error) {
	return Waiting{}, fault.New(fault.NotFound, "")
}
func (*shelf) TakeWaiting(context.Context, string, string) (bool, error) { return false, nil }
func (s *shelf) AreWaiting(_ context.Context, now time.Time, n int) (bool, error) {
	for _, w := range s.all {
		if now.Before(w.Expires) {
			n--
		}
	}
	return n <= 0, nil
}

// Nobody fills the room: not one network, not many of them, and who authenticates
// has room left. When what waits is over, there is room again.
func TestTheRoomCannotBeFilled(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	s := &shelf{}
	r := NewRoom(RoomConfig{Store: s, Now: func() time.Time { return now }, Most: 16, PerNetwork: 5, PerClient: 3})
	add := func(from From) *TooMany {
		t.Helper()
		err := r.Admit(t.Context(), from)
		if err == nil {
			_, err = r.Add(t.Context(), PurposePushed, "b", nil, time.Minute)
		}
		var crowd *TooMany
		if err != nil && !errors.As(err, &crowd) {
			t.Fatal(err)
		}
		return crowd
	}
	one := From{Network: netip.MustParseAddr("2001:db8:1::1")}
	for range 5 {
		if add(one) != nil {
			t.Fatal("refused too early")
		}
	}
	neighbour := From{Network: netip.MustParseAddr("2001:db8:1::ffff")}
	if c := add(neighbour); c == nil || c.All || c.After <= 0 || c.After > time.Minute || !fault.Is(c, fault.RateLimited) {
		t.Errorf("one network: %+v", c)
	}
	for i := range byte(9) {
		if add(From{Network: netip.AddrFrom4([4]byte{192, 0, 2, i})}) != nil {
			t.Fatal("refused too early")
		}
	}
	if c := add(From{Network: netip.MustParseAddr("198.51.100.1")}); c == nil || !c.All || c.After <= 0 || !fault.Is(c, fault.Full) || len(s.all) != 14 {
		t.Errorf("all of them: %+v, %d wait", c, len(s.all))
	}
	for range 2 {
		if add(From{Client: "app"}) != nil {
			t.Error("an app that authenticates has no room")
		}
	}
	if c := add(From{Client: "app"}); c == nil || !c.All || len(s.all) != 16 {
		t.Errorf("%+v", c)
	}
	if c := add(From{Client: "app"}); c == nil || c.All {
		t.Errorf("one app: %+v", c)
	}
	now = now.Add(time.Minute)
	if add(one) != nil || add(From{Client: "app"}) != nil {
		t.Error("no room after what waited is over")
	}
}
