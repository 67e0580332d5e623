package keys

import (
	"bytes"
	"crypto/sha1" // #nosec G505 -- the list's own format
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"strings"

	"gatehouse/internal/fault"
)

// Breached is a list of passwords that are known to thieves, from a file of the
// operator. It is looked up on this machine: no password, and no part of one, goes
// anywhere.
type Breached struct {
	file  *os.File // of hashes; nil for a plain list
	size  int64
	plain map[string]struct{} // folded
}

// The bounds of a list.
const (
	maxPlainList = 64 << 20 // bytes; a longer list is one of hashes
	maxHashLine  = 64       // bytes: 40 digits, a colon, a count
)

// OpenBreached opens a list: lines of SHA-1 hashes in hex, sorted, each with or
// without :COUNT behind it, as "Have I Been Pwned" publishes them; or lines of
// passwords. A list of hashes is not read into memory.
func OpenBreached(path string) (b *Breached, err error) {
	defer fault.Wrap(&err, "open the list of breached passwords")
	f, err := os.Open(path) // #nosec G304 -- the operator names it
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	b = &Breached{file: f, size: info.Size()}
	first, _, err := b.line(0)
	if err == nil && isHashLine(first) {
		if err = b.checkOrder(); err != nil {
			_ = f.Close()
			return nil, err
		}
		return b, nil
	}
	defer func() { _ = f.Close() }()
	if info.Size() > maxPlainList {
		return nil, fmt.Errorf("%s has %d bytes: a list of passwords has at most %d, a longer one is of sorted SHA-1 hashes", path, info.Size(), maxPlainList)
	}
	raw, err := io.ReadAll(io.LimitReader(f, maxPlainList+1))
	if err != nil {
		return nil, err
	}
	b.file, b.plain = nil, map[string]struct{}{}
	for _, line := range strings.Split(string(raw), "\n") {
		if line = strings.TrimRight(line, "\r"); line != "" {
			b.plain[strings.ToLower(line)] = struct{}{}
		}
	}
	return b, nil
}

// Close lets go of the file.
func (b *Breached) Close() error {
	if b.file == nil {
		return nil
	}
	return b.file.Close()
}

// Contains reports whether the password is in the list. In a list of passwords case
// does not count: thieves try both.
func (b *Breached) Contains(password string) (bool, error) {
	if b.file == nil {
		_, found := b.plain[strings.ToLower(password)]
		return found, nil
	}
	sum := sha1.Sum([]byte(password)) // #nosec G401 -- the list's own format
	want := []byte(strings.ToUpper(hex.EncodeToString(sum[:])))
	low, high := int64(0), b.size // of the places where a line that fits may begin
	for low < high {
		line, next, err := b.line(low + (high-low)/2)
		if err != nil {
			return false, err
		}
		begin := next - int64(len(line)) - 1
		if len(line) == 0 || begin >= high { // nothing begins between there and high
			high = low + (high-low)/2
			continue
		}
		switch bytes.Compare(hashOf(line), want) {
		case 0:
			return true, nil
		case -1:
			low = next
		default:
			high = low + (high-low)/2
		}
	}
	return false, nil
}

// line returns the first line that begins at a place or behind it, and where the next
// one begins; an empty one at the end.
func (b *Breached) line(at int64) (line []byte, next int64, err error) {
	begin := at
	if at > 0 {
		begin-- // a line that begins here has a line break before it
	}
	buf := make([]byte, 2*maxHashLine+2)
	n, err := b.file.ReadAt(buf, begin)
	if err != nil && err != io.EOF {
		return nil, 0, err
	}
	buf = buf[:n]
	if at > 0 {
		i := bytes.IndexByte(buf, '\n')
		if i < 0 {
			if begin+int64(n) < b.size {
				return nil, 0, fault.New(fault.Internal, "a line of the list is too long")
			}
			return nil, b.size, nil
		}
		begin += int64(i) + 1
		buf = buf[i+1:]
	}
	i := bytes.IndexByte(buf, '\n')
	if i < 0 {
		return buf, begin + int64(len(buf)) + 1, nil
	}
	return buf[:i], begin + int64(i) + 1, nil
}

// checkOrder looks at lines all over the file: in one that is not sorted nothing
// would be found, and nobody would know.
func (b *Breached) checkOrder() error {
	const samples = 2000
	var last []byte
	for at := int64(0); at < b.size; at += max(1, b.size/samples) {
		line, _, err := b.line(at)
		if err != nil {
			return err
		}
		if len(line) == 0 {
			return nil
		}
		h := hashOf(line)
		if !isHashLine(line) || bytes.Compare(h, last) < 0 {
			return fault.New(fault.Invalid, "the list is not one of sorted SHA-1 hashes near byte %d: sort it with LC_ALL=C sort", at)
		}
		last = h
	}
	return nil
}

func isHashLine(line []byte) bool {
	h, count, _ := bytes.Cut(bytes.TrimRight(line, "\r"), []byte(":"))
	if len(h) != 40 || bytes.ContainsFunc(count, func(r rune) bool { return r < '0' || r > '9' }) {
		return false
	}
	_, err := hex.DecodeString(string(h))
	return err == nil
}

func hashOf(line []byte) []byte {
	return bytes.ToUpper(line[:min(40, len(line))])
}
