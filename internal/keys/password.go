package keys

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"

	"gatehouse/internal/fault"
)

// The bounds of what is hashed, and of parameters that a stored hash may ask for.
const (
	maxPassword   = 1024 // bytes
	saltSize      = 16
	tagSize       = 32
	maxMemoryKiB  = 1 << 20
	maxIterations = 64
)

// PasswordConfig is what Passwords is made of. The zero value is the advice of
// RFC 9106 section 4 for servers with little memory.
type PasswordConfig struct {
	MemoryKiB  uint32 // 0 means 64 MiB
	Iterations uint32 // 0 means 3
	Lanes      uint8  // 0 means 4
	// Concurrent bounds how many hashes are computed at a time, each of which
	// takes the memory above. 0 means one for each processor, at most 4.
	Concurrent int
	// Waiting bounds how many wait for their turn; whoever comes then is told at once
	// that it is too much. 0 means 100.
	Waiting int
}

// Passwords hashes passwords with argon2id. It is safe for concurrent use.
type Passwords struct {
	params argonParams
	turns  chan struct{}
	queue  chan struct{}
}

type argonParams struct {
	memory, iterations uint32
	lanes              uint8
}

// NewPasswords returns a Passwords.
func NewPasswords(cfg PasswordConfig) *Passwords {
	p := argonParams{memory: cfg.MemoryKiB, iterations: cfg.Iterations, lanes: cfg.Lanes}
	if p.memory == 0 {
		p.memory = 64 << 10
	}
	if p.iterations == 0 {
		p.iterations = 3
	}
	if p.lanes == 0 {
		p.lanes = 4
	}
	n := cfg.Concurrent
	if n <= 0 {
		n = min(runtime.GOMAXPROCS(0), 4)
	}
	waiting := cfg.Waiting
	if waiting <= 0 {
		waiting = 100
	}
	return &Passwords{params: p, turns: make(chan struct{}, n), queue: make(chan struct{}, waiting)}
}

// Hash returns the PHC string of a password. It waits for its turn, and fails
// with fault.Timeout when ctx ends first or too many wait, and with fault.Invalid when the password
// is longer than 1024 bytes.
func (p *Passwords) Hash(ctx context.Context, password string) (string, error) {
	if len(password) > maxPassword {
		return "", fault.New(fault.Invalid, "the password is longer than %d bytes", maxPassword)
	}
	salt := make([]byte, saltSize)
	_, _ = rand.Read(salt)
	tag, err := p.derive(ctx, password, salt, p.params, tagSize)
	if err != nil {
		return "", err
	}
	enc := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version,
		p.params.memory, p.params.iterations, p.params.lanes, enc.EncodeToString(salt), enc.EncodeToString(tag)), nil
}

// Check reports whether the password is the one of the PHC string, and whether
// it should be hashed again because the parameters have changed since. With an
// empty phc (there is no such user) it takes the same time and returns false.
// The error is fault.Timeout when ctx ends before its turn or too many wait, and fault.Internal
// when the stored string cannot be read.
func (p *Passwords) Check(ctx context.Context, phc, password string) (ok, rehash bool, err error) {
	if phc != "" && !strings.HasPrefix(phc, "$argon2id$") {
		return p.checkImported(ctx, phc, password)
	}
	params, salt, tag := p.params, make([]byte, saltSize), make([]byte, tagSize)
	if phc != "" {
		if params, salt, tag, err = parsePHC(phc); err != nil {
			return false, false, err
		}
	}
	if len(password) > maxPassword {
		return false, false, nil
	}
	got, err := p.derive(ctx, password, salt, params, uint32(len(tag)))
	if err != nil {
		return false, false, err
	}
	ok = subtle.ConstantTimeCompare(got, tag) == 1 && phc != ""
	return ok, ok && (params != p.params || len(tag) != tagSize || len(salt) != saltSize), nil
}

// checkImported is Check for a hash of another system, which is replaced when it is
// right. It does the work of our own as well, so that it takes no less time than for
// anybody else.
func (p *Passwords) checkImported(ctx context.Context, verifier, password string) (ok, rehash bool, err error) {
	h, err := parseImported(verifier)
	if err != nil {
		return false, false, fault.New(fault.Internal, "a stored password hash cannot be read")
	}
	if len(password) > maxPassword {
		return false, false, nil
	}
	release, err := p.turn(ctx)
	if err != nil {
		return false, false, err
	}
	ok = h.check(password)
	release()
	if _, err := p.derive(ctx, password, make([]byte, saltSize), p.params, tagSize); err != nil {
		return false, false, err
	}
	return ok, ok, nil
}

// turn waits for the right to compute.
func (p *Passwords) turn(ctx context.Context) (release func(), err error) {
	release = func() { <-p.turns }
	select {
	case p.turns <- struct{}{}:
		return release, nil
	default:
	}
	select {
	case p.queue <- struct{}{}:
		defer func() { <-p.queue }()
	default:
		return nil, fault.New(fault.Timeout, "too many passwords wait to be checked; try again")
	}
	select {
	case p.turns <- struct{}{}:
		return release, nil
	case <-ctx.Done():
		return nil, fault.Because(context.Cause(ctx), fault.Timeout, "too many passwords are being checked; try again")
	}
}

func (p *Passwords) derive(ctx context.Context, password string, salt []byte, a argonParams, size uint32) ([]byte, error) {
	release, err := p.turn(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	return argon2.IDKey([]byte(password), salt, a.iterations, a.memory, a.lanes, size), nil
}

// parsePHC reads $argon2id$v=19$m=65536,t=3,p=4$salt$tag and bounds what it asks for.
func parsePHC(phc string) (a argonParams, salt, tag []byte, err error) {
	bad := fault.New(fault.Internal, "a stored password hash cannot be read")
	part := strings.Split(phc, "$")
	if len(part) != 6 || part[0] != "" || part[1] != "argon2id" || part[2] != "v="+strconv.Itoa(argon2.Version) {
		return a, nil, nil, bad
	}
	num := strings.Split(part[3], ",")
	if len(num) != 3 {
		return a, nil, nil, bad
	}
	var n [3]uint64
	for i, name := range [...]string{"m=", "t=", "p="} {
		text, ok := strings.CutPrefix(num[i], name)
		if !ok {
			return a, nil, nil, bad
		}
		if n[i], err = strconv.ParseUint(text, 10, 32); err != nil || n[i] == 0 {
			return a, nil, nil, bad
		}
	}
	if n[0] > maxMemoryKiB || n[1] > maxIterations || n[2] > 255 {
		return a, nil, nil, bad
	}
	a = argonParams{memory: uint32(n[0]), iterations: uint32(n[1]), lanes: uint8(n[2])}
	enc := base64.RawStdEncoding.Strict()
	salt, err1 := enc.DecodeString(part[4])
	tag, err2 := enc.DecodeString(part[5])
	if err1 != nil || err2 != nil || len(salt) < 8 || len(salt) > 64 || len(tag) < 16 || len(tag) > 64 {
		return a, nil, nil, bad
	}
	return a, salt, tag, nil
}
