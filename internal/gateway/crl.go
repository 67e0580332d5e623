package gateway

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"io"
	"os"
	"sync"
	"time"

	"gatehouse/internal/fault"
)

const (
	lookAtCRL  = 500 * time.Millisecond // how often the file is looked at: open streams end within a second
	maxCRLSize = 32 << 20
)

// revokedCerts are the certificates that authorities have revoked, as a file says
// that is read again when it changes (RFC 5280 section 5): one list in DER, or several
// in PEM. While it cannot be read, what was read counts, until its nextUpdate.
type revokedCerts struct {
	path string

	mu     sync.Mutex
	looked time.Time
	stamp  time.Time
	size   int64
	lists  []crlList
}

type crlList struct {
	*x509.RevocationList
	serials map[string]struct{}
	signers map[string]bool // by raw certificate: whether the list is theirs
}

func newRevokedCerts(path string) *revokedCerts { return &revokedCerts{path: path} }

// check refuses a chain of which a link is revoked. For the client's own certificate
// there must be a list; for those between only where there is one.
func (r *revokedCerts) check(chain []*x509.Certificate, now time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now.Sub(r.looked) >= lookAtCRL || now.Before(r.looked) {
		_ = r.lookLocked(now) // what was read before counts
	}
	for i := range len(chain) - 1 {
		known := false
		for j := range r.lists {
			l := &r.lists[j]
			if !bytes.Equal(l.RawIssuer, chain[i].RawIssuer) || !l.by(chain[i+1]) {
				continue
			}
			if !l.NextUpdate.IsZero() && now.After(l.NextUpdate) {
				continue
			}
			known = true
			if _, revoked := l.serials[string(chain[i].SerialNumber.Bytes())]; revoked {
				return errCertRevoked
			}
		}
		if !known && i == 0 {
			return errCertUnknown
		}
	}
	return nil
}

// by reports whether the list is signed by the authority; each is asked once.
func (l *crlList) by(signer *x509.Certificate) bool {
	good, asked := l.signers[string(signer.Raw)]
	if !asked {
		good = l.CheckSignatureFrom(signer) == nil
		if len(l.signers) < maxChain {
			l.signers[string(signer.Raw)] = good
		}
	}
	return good
}

// look reads the file if it has changed.
func (r *revokedCerts) look(now time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lookLocked(now)
}

func (r *revokedCerts) lookLocked(now time.Time) (err error) {
	defer fault.Wrap(&err, "read the list of revoked certificates %s", r.path)
	r.looked = now
	f, err := os.Open(r.path)
	if err != nil {
		return fault.Because(err, fault.Unavailable, "open it")
	}
	defer f.Close() //nolint:errcheck // only read from
	info, err := f.Stat()
	if err != nil {
		return fault.Because(err, fault.Unavailable, "look at it")
	}
	if info.ModTime().Equal(r.stamp) && info.Size() == r.size {
		return nil
	}
	raw, err := io.ReadAll(io.LimitReader(f, maxCRLSize+1))
	if err != nil {
		return fault.Because(err, fault.Unavailable, "read it")
	}
	if len(raw) > maxCRLSize {
		return fault.New(fault.Invalid, "it is larger than %d MiB", maxCRLSize>>20)
	}
	lists, err := parseCRLs(raw)
	if err != nil {
		return err
	}
	r.lists, r.stamp, r.size = lists, info.ModTime(), info.Size()
	return nil
}

func parseCRLs(raw []byte) ([]crlList, error) {
	ders := [][]byte{raw}
	if block, rest := pem.Decode(raw); block != nil {
		for ders = nil; block != nil; block, rest = pem.Decode(rest) {
			ders = append(ders, block.Bytes)
		}
	}
	var out []crlList
	for _, der := range ders {
		l, err := x509.ParseRevocationList(der)
		if err != nil {
			return nil, fault.Because(err, fault.Invalid, "it is no certificate revocation list")
		}
		one := crlList{RevocationList: l, serials: make(map[string]struct{}, len(l.RevokedCertificateEntries)), signers: map[string]bool{}}
		for _, e := range l.RevokedCertificateEntries {
			one.serials[string(e.SerialNumber.Bytes())] = struct{}{}
		}
		out = append(out, one)
	}
	return out, nil
}
