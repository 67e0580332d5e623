package revocation

import (
	"cmp"
	"hash/maphash"

	"gatehouse/internal/cluster"
	"gatehouse/internal/tenant"
	"gatehouse/verify"
)

// Key is what a revocation names, as a hash. The lowest bits of the second word are the kind.
type Key [2]uint64

const (
	kindBits  = 4
	kindMask  = 1<<kindBits - 1
	kindCount = 10
)

func (k Key) kind() uint8 { return uint8(k[1] & kindMask) }
func (k Key) shard() int  { return int(k[0] % shardCount) } // #nosec G115 -- below 4096

func compare(a, b Key) int { return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1])) }

// kinds are the kinds in the order of their numbers; number 0 is none.
func kinds() [kindCount]cluster.Kind {
	return [kindCount]cluster.Kind{
		"", cluster.TokenID, cluster.TokenHash, cluster.Session, cluster.Client, cluster.User,
		cluster.Key, cluster.Certificate, cluster.Issuer, cluster.Tenant,
	}
}

func ranked(n uint8) cluster.Kind { return kinds()[n] }

// rank numbers the kinds; those that are none have the number of nothing.
func rank(k cluster.Kind) uint8 {
	for n, kind := range kinds() {
		if kind == k {
			return uint8(n) // #nosec G115 -- below kindCount
		}
	}
	return 0
}

func (s *Set) key(t tenant.ID, kind uint8, issuer, value string) Key {
	const odd1, odd2 = 0x9e3779b97f4a7c15, 0xd6e8feb86659fd93
	var k Key
	for i := range k {
		h := maphash.String(s.seeds[i], string(t))*odd1 + uint64(kind)
		h = h*odd2 ^ maphash.String(s.seeds[i], issuer)
		k[i] = h*odd1 ^ maphash.String(s.seeds[i], value)
	}
	k[1] = k[1]&^kindMask | uint64(kind)
	return k
}

// Keys are the keys under which a token may have been revoked.
type Keys struct {
	list [kindCount + 1]Key
	n    int
}

// KeysOf makes the keys of a token of a tenant, once, when it is first seen: what
// it is, who signed it, whom and what it stands for, and the certificate that it is
// bound to. hash is base64url of the SHA-256 of its text, and twin that of the other
// text that is as good (verify.TwinHash), empty when there is none.
func (s *Set) KeysOf(t tenant.ID, tok *verify.Token, hash, twin string) Keys {
	var k Keys
	add := func(kind cluster.Kind, issuer, value string) {
		if value != "" || kind == cluster.Issuer || kind == cluster.Tenant {
			k.list[k.n] = s.key(t, rank(kind), issuer, value)
			k.n++
		}
	}
	add(cluster.TokenID, tok.Issuer, tok.ID)
	add(cluster.TokenHash, "", hash)
	add(cluster.TokenHash, "", twin)
	add(cluster.Session, tok.Issuer, tok.Session)
	add(cluster.Client, tok.Issuer, tok.ClientID)
	add(cluster.User, tok.Issuer, tok.UserID)
	if tok.Subject != tok.UserID {
		add(cluster.User, tok.Issuer, tok.Subject)
	}
	add(cluster.Key, tok.Issuer, tok.KeyID)
	add(cluster.Certificate, "", tok.CertThumbprint)
	add(cluster.Issuer, tok.Issuer, "")
	add(cluster.Tenant, "", "")
	return k
}

// Names returns the kind of a revocation that names what the keys are of, "" when
// there is none. issued is when the token was issued, in Unix seconds; 0 counts as before
// anything. Issue times are whole seconds, so one of the very second of a revocation
// counts as before it: the strict side.
func (s *Set) Names(k *Keys, issued int64) cluster.Kind {
	kinds := s.kinds.Load()
	if kinds == 0 {
		return ""
	}
	for i := range k.list[:k.n] {
		if key := k.list[i]; kinds&(1<<key.kind()) != 0 && s.holds(key, issued) {
			return ranked(key.kind())
		}
	}
	return ""
}

// NamesCertificate reports whether the client certificate of a connection is revoked:
// base64url of the SHA-256 of its DER form, without padding (x5t#S256, RFC 8705
// section 3.1).
func (s *Set) NamesCertificate(t tenant.ID, thumbprint string) bool {
	kind := rank(cluster.Certificate)
	return s.kinds.Load()&(1<<kind) != 0 && s.holds(s.key(t, kind, "", thumbprint), 0)
}

func (s *Set) holds(key Key, issued int64) bool {
	shard := load(&s.shards[key.shard()])
	at, there := find(shard, key)
	return there && (shard[at].before == 0 || issued < int64(shard[at].before))
}

// find returns where the key is, or would be.
func find(list []entry, key Key) (at int, there bool) {
	low, high := 0, len(list)
	for low < high {
		mid := int(uint(low+high) >> 1) // #nosec G115 -- an index
		if compare(list[mid].key, key) < 0 {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low, low < len(list) && list[low].key == key
}
