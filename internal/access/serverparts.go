package access

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"gatehouse/internal/fault"
	"gatehouse/internal/keys"
	"gatehouse/internal/ledger"
)

// ServerKey is a public key of the resource servers of an authorization server, to
// encrypt tokens for them with.
type ServerKey struct {
	ID      string          `json:"id"`
	KID     string          `json:"kid"`
	JWK     json.RawMessage `json:"jwk"`
	Status  Status          `json:"status"` // one at most is active
	Created time.Time       `json:"created"`
	Updated time.Time       `json:"updated"`
}

// maxServerKeys is how many such keys a server may have.
const maxServerKeys = 50

// AddServerKey adds a public RSA key, a JWK (RFC 7517) for encryption with a kid that
// the server does not have yet. It is not active.
func (s *Service) AddServerKey(ctx context.Context, actor ledger.Actor, server string, jwk json.RawMessage) (made ServerKey, err error) {
	defer fault.Wrap(&err, "add a key of resource servers to %q", server)
	wrong := func(path, message string) error {
		return fault.New(fault.Invalid, "the key is not valid").WithFields(fault.Field{Path: path, Message: message})
	}
	var b struct {
		KID string `json:"kid"`
		KTY string `json:"kty"`
		Use string `json:"use"`
		N   string `json:"n"`
		E   string `json:"e"`
	}
	if err := json.Unmarshal(jwk, &b); err != nil {
		return made, wrong("jwk", "is not a JSON Web Key")
	}
	public, err := json.Marshal(map[string]string{"kty": b.KTY, "kid": b.KID, "n": b.N, "e": b.E})
	if err != nil {
		return made, err
	}
	switch {
	case b.KID == "" || len(b.KID) > 255:
		return made, wrong("kid", "must have 1 to 255 bytes")
	case b.KTY != "RSA" || b.Use != "enc" || !usableKey(AppKey{ID: b.KID, JWK: public}):
		return made, wrong("jwk", "must be a public RSA key of 2048 bits or more with the use enc")
	}
	now, err := s.now(ctx)
	if err != nil {
		return made, err
	}
	_, err = s.ChangeServer(ctx, actor, server, func(x *Server) error {
		if len(x.EncryptionKeys) >= maxServerKeys {
			return wrong("jwk", "is one too many: a server has 50 at most")
		}
		if slices.ContainsFunc(x.EncryptionKeys, func(k ServerKey) bool { return k.KID == b.KID }) {
			return wrong("kid", "is that of another key")
		}
		made = ServerKey{ID: keys.ID("apk"), KID: b.KID, JWK: public, Status: Inactive, Created: now, Updated: now}
		x.EncryptionKeys = append(slices.Clone(x.EncryptionKeys), made)
		return nil
	})
	return made, err
}

// now returns the time by the ledger's clock.
func (s *Service) now(ctx context.Context) (now time.Time, err error) {
	err = s.ledger.View(ctx, func(tx *ledger.Tx) error {
		now = tx.Now()
		return nil
	})
	return now, err
}

// ServerKey returns a key of the server's resource servers, or fault.NotFound.
func (s *Server) ServerKey(id string) (ServerKey, error) {
	i := slices.IndexFunc(s.EncryptionKeys, func(k ServerKey) bool { return k.ID == id })
	if i < 0 {
		return ServerKey{}, fault.New(fault.NotFound, "the server has no key %s", quoted(id))
	}
	return s.EncryptionKeys[i], nil
}

// SetServerKeyStatus makes a key the active one, or none. An active key takes the
// place of the one that was.
func (s *Service) SetServerKeyStatus(ctx context.Context, actor ledger.Actor, server, id string, status Status) (key ServerKey, err error) {
	now, err := s.now(ctx)
	if err != nil {
		return key, err
	}
	_, err = s.ChangeServer(ctx, actor, server, func(x *Server) error {
		if _, err := x.ServerKey(id); err != nil {
			return err
		}
		x.EncryptionKeys = slices.Clone(x.EncryptionKeys)
		for i := range x.EncryptionKeys {
			k := &x.EncryptionKeys[i]
			want := k.Status
			if k.ID == id {
				want = status
			} else if status == Active {
				want = Inactive
			}
			if want != k.Status {
				k.Status, k.Updated = want, now
			}
			if k.ID == id {
				key = *k
			}
		}
		return nil
	})
	return key, err
}

// DeleteServerKey removes a key that is not active.
func (s *Service) DeleteServerKey(ctx context.Context, actor ledger.Actor, server, id string) error {
	_, err := s.ChangeServer(ctx, actor, server, func(x *Server) error {
		k, err := x.ServerKey(id)
		if err != nil {
			return err
		}
		if k.Status == Active {
			return fault.New(fault.Denied, "the key is active: deactivate it first").WithReason(ReasonActive)
		}
		x.EncryptionKeys = slices.DeleteFunc(slices.Clone(x.EncryptionKeys), func(k ServerKey) bool { return k.ID == id })
		return nil
	})
	return err
}

// Associate says that a server trusts others, or, for untrusted ones, that it does no
// more.
func (s *Service) Associate(ctx context.Context, actor ledger.Actor, server string, trusted, untrusted []string) (err error) {
	defer fault.Wrap(&err, "associate servers with %q", server)
	for _, id := range trusted {
		o, err := s.FindServer(ctx, id)
		if fault.Is(err, fault.NotFound) || err == nil && o.Value.org() {
			return fault.New(fault.Invalid, "the association is not valid").WithFields(fault.Field{Path: "trusted", Message: quoted(id) + " is not an authorization server"})
		}
		if err != nil {
			return err
		}
	}
	_, err = s.ChangeServer(ctx, actor, server, func(x *Server) error {
		all := sorted(slices.Concat(x.Associated, trusted))
		x.Associated = slices.DeleteFunc(slices.Compact(all), func(id string) bool { return slices.Contains(untrusted, id) })
		if len(x.Associated) > 100 {
			return fault.New(fault.Invalid, "a server is associated with 100 others at most")
		}
		return nil
	})
	return err
}
