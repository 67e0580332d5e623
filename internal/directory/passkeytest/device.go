// Package passkeytest is an authenticator for tests, in software: it makes passkeys
// and uses them, and can be told to do it wrong in each way that an attacker would.
// It must not know who asks.
package passkeytest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
)

// Device is an authenticator with the browser that it is in. Its fields are what it
// says of itself; a test changes them to lie.
type Device struct {
	Origin   string // of the page that asks
	Party    string // the RP ID that it signs for
	Verifies bool   // it makes sure that it is the person
	Synced   bool   // its keys are backed up
	Apart    bool   // it is not part of the device that the browser is on, as a phone beside it
	Counter  uint32 // of signatures; it goes forward with each one while Counts
	Counts   bool

	ID     []byte // of the one credential that it holds
	Handle []byte // of the user
	key    *ecdsa.PrivateKey
}

// New returns a device that does everything right on a page of the origin whose
// host is given.
func New(origin, host string) *Device {
	return &Device{Origin: origin, Party: host, Verifies: true}
}

// The flags of authenticator data (WebAuthn Level 3 section 6.1).
const (
	flagPresent    = 1 << 0
	flagVerified   = 1 << 2
	flagEligible   = 1 << 3
	flagBackedUp   = 1 << 4
	flagCredential = 1 << 6
)

// Create answers navigator.credentials.create with these options.
func (d *Device) Create(options []byte) ([]byte, error) {
	var o struct {
		Challenge string `json:"challenge"`
		User      struct {
			ID string `json:"id"`
		} `json:"user"`
	}
	if err := json.Unmarshal(options, &o); err != nil {
		return nil, err
	}
	var err error
	if d.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, err
	}
	if d.Handle, err = base64.RawURLEncoding.DecodeString(o.User.ID); err != nil {
		return nil, err
	}
	d.ID = make([]byte, 16)
	_, _ = rand.Read(d.ID)
	data := d.data(flagCredential)
	data = append(data, make([]byte, 16)...) // no model
	data = binary.BigEndian.AppendUint16(data, uint16(len(d.ID)))
	data = append(append(data, d.ID...), d.publicKey()...)
	object := []byte{0xa3} // a map of three, in the order of CTAP2's canonical CBOR
	object = append(text(object, "fmt"), text(nil, "none")...)
	object = append(text(object, "attStmt"), 0xa0)
	object = bytes(text(object, "authData"), data)
	return d.answer(map[string]any{
		"clientDataJSON": encode(d.clientData("webauthn.create", o.Challenge)), "attestationObject": encode(object), "transports": []string{"internal"},
	})
}

// Get answers navigator.credentials.get with these options.
func (d *Device) Get(options []byte) ([]byte, error) {
	var o struct {
		Challenge string `json:"challenge"`
	}
	if err := json.Unmarshal(options, &o); err != nil {
		return nil, err
	}
	return d.Sign(o.Challenge)
}

// Sign answers a challenge.
func (d *Device) Sign(challenge string) ([]byte, error) {
	if d.key == nil {
		return nil, fmt.Errorf("the device has no passkey yet")
	}
	if d.Counts {
		d.Counter++
	}
	data, client := d.data(0), d.clientData("webauthn.get", challenge)
	said := sha256.Sum256(client)
	signed := sha256.Sum256(append(append([]byte{}, data...), said[:]...))
	signature, err := ecdsa.SignASN1(rand.Reader, d.key, signed[:])
	if err != nil {
		return nil, err
	}
	return d.answer(map[string]any{
		"clientDataJSON": encode(client), "authenticatorData": encode(data), "signature": encode(signature), "userHandle": encode(d.Handle),
	})
}

func (d *Device) clientData(kind, challenge string) []byte {
	out, _ := json.Marshal(map[string]any{"type": kind, "challenge": challenge, "origin": d.Origin, "crossOrigin": false}) // of texts it does not fail
	return out
}

func (d *Device) data(flags byte) []byte {
	party := sha256.Sum256([]byte(d.Party))
	flags |= flagPresent
	if d.Verifies {
		flags |= flagVerified
	}
	if d.Synced {
		flags |= flagEligible | flagBackedUp
	}
	return binary.BigEndian.AppendUint32(append(party[:], flags), d.Counter)
}

// publicKey returns the key as COSE has it (RFC 9052 section 7): ES256 on P-256.
func (d *Device) publicKey() []byte {
	point, err := d.key.PublicKey.Bytes() // 4, x, y
	if err != nil {
		return nil
	}
	out := []byte{0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21}
	out = bytes(out, point[1:33])
	return bytes(append(out, 0x22), point[33:])
}

func (d *Device) answer(response map[string]any) ([]byte, error) {
	attachment := "platform"
	if d.Apart {
		attachment = "cross-platform"
	}
	return json.Marshal(map[string]any{
		"authenticatorAttachment": attachment,
		"id":                      encode(d.ID), "rawId": encode(d.ID), "type": "public-key", "response": response, "clientExtensionResults": map[string]any{},
	})
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// text and bytes append a CBOR text of less than 24 bytes, and CBOR bytes.
func text(to []byte, s string) []byte { return append(append(to, 0x60|byte(len(s))), s...) }

func bytes(to, b []byte) []byte {
	switch {
	case len(b) < 24:
		to = append(to, 0x40|byte(len(b)))
	case len(b) < 256:
		to = append(to, 0x58, byte(len(b)))
	default:
		to = binary.BigEndian.AppendUint16(append(to, 0x59), uint16(len(b)))
	}
	return append(to, b...)
}
