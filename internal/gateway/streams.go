package gateway

import (
	"bytes"
	"context"
	"crypto/x509"
	"log/slog"
	"sync"
	"time"

	"gatehouse/internal/cluster"
	"gatehouse/internal/fault"
	"gatehouse/internal/tenant"
	"gatehouse/internal/wire"
	"gatehouse/verify"
)

// Open streams. A caller is judged when a request begins; one whose answer lasts is
// judged again while it does: WebSockets, event streams, calls of gRPC, large downloads.
//
// A lane tells of an answer that has been on its way for wire.OpenAfter, so an ordinary
// request is over before it would be entered here and costs nothing. While any are
// entered, a timer goes over all of them four times a second. That is an integer to
// compare for each, and a look into the revocations only when those have changed since:
// an index by all that can be revoked would cost more to keep than it saves.

const (
	// lookEvery is how often open streams are gone over: with wire.OpenAfter and what a
	// lane takes to end one, within a second of a revocation.
	lookEvery = 250 * time.Millisecond
	// askEvery is how often the issuer of an opaque token is asked again, as for
	// requests, askAgain when it did not answer, and patience how long that is tried.
	askEvery = time.Minute
	askAgain = 5 * time.Second
	patience = 30 * time.Second
)

// streams are the answers that are on their way for long.
type streams struct {
	mu     sync.Mutex
	open   map[*stream]struct{}
	timer  *time.Timer // runs while any are open
	asking sync.WaitGroup
	closed bool
}

// stream is one of them, with what its caller is judged by.
type stream struct {
	end     func(why string)
	memo    *tokenMemo
	token   *verify.Token
	cert    string
	session Session    // nil: the caller has none
	vouched *authority // for the certificates; nil: they do not say who calls
	chain   []*x509.Certificate
	expires int64  // Unix seconds; 0 = never
	turn    uint64 // of the revocations, and of the API keys, when it was judged last
	keyTurn uint64
	why     error // why it was ended; nil when it was not

	raw      []byte // of an opaque token, to ask about it again
	issuer   Introspector
	askAt    time.Time // when to ask; zero while somebody does
	giveUpAt time.Time // when no answer has come
}

// watched is an exchange as the watcher of its own answer.
type watched struct{ *Exchange }

// Opened implements wire.Watcher.
func (w watched) Opened(end func(string)) {
	ex := w.Exchange
	s := &stream{end: end, memo: ex.memo, token: ex.token, cert: ex.certificate, session: ex.session, expires: ex.token.Expires}
	if s.vouched = ex.vouched; s.vouched != nil {
		s.chain = ex.certificates
	}
	if start := ex.started.Unix(); s.expires != 0 && start >= s.expires {
		s.expires += int64(verify.DefaultLeeway / time.Second) // it was let in by the grace for clocks
	}
	if i := ex.askedIssuer(); i != nil {
		if _, says := s.token.Claim("exp"); !says {
			s.expires = 0 // what it has is the life of an answer
		}
		s.issuer, s.askAt = i, ex.started.Add(askEvery)
		if raw, err := credential(ex); err == nil {
			s.raw = bytes.Clone(raw)
		}
	}
	ex.stream = s
	ex.gw.streams.add(ex.gw, s)
}

// Closed implements wire.Watcher.
func (w watched) Closed() { w.gw.streams.remove(w.stream) }

// askedIssuer returns who was asked about the exchange's token, nil for a token
// that was verified here and not asked about besides.
func (ex *Exchange) askedIssuer() Introspector {
	if ex.token.Algorithm != "" && !ex.route.fresh {
		return nil
	}
	for i := range ex.route.api.issuers {
		if is := &ex.route.api.issuers[i]; is.introspect != nil && is.url == ex.token.Issuer {
			return is.introspect
		}
	}
	if is := &ex.route.api.signsIn; ex.session != nil && is.url == ex.token.Issuer {
		return is.introspect
	}
	return nil
}

// endedEarly returns why the exchange's answer was ended before its time, else err.
func (ex *Exchange) endedEarly(err error) error {
	if ex.stream != nil && ex.stream.why != nil {
		ex.stopped = stepRevocation
		return ex.stream.why
	}
	return err
}

func (o *streams) add(g *Gateway, s *stream) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return
	}
	if o.open == nil {
		o.open = map[*stream]struct{}{}
	}
	o.open[s] = struct{}{}
	if o.timer == nil {
		o.timer = time.AfterFunc(0, func() { o.look(g) })
	} else if len(o.open) == 1 {
		o.timer.Reset(0) // it may have been revoked between its step and now
	}
}

func (o *streams) remove(s *stream) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.open, s)
}

// look judges every open stream, and ends those that may not go on.
func (o *streams) look(g *Gateway) {
	now := g.config.Now()
	var over []*stream
	o.mu.Lock()
	for s := range o.open {
		if s.why == nil {
			s.why = g.judge(s, now)
		}
		if s.why != nil {
			over = append(over, s)
		} else if s.issuer != nil && !s.askAt.IsZero() && !now.Before(s.askAt) {
			s.askAt = time.Time{}
			o.asking.Go(func() { o.ask(g, s) })
		}
	}
	if len(o.open) > 0 && !o.closed {
		o.timer.Reset(lookEvery)
	}
	o.mu.Unlock()
	for _, s := range over { // again and again, while it is open: see wire.Watcher
		s.end(fault.Of(s.why).Reason)
	}
}

// judge says why a stream may not go on; nil when it may.
func (g *Gateway) judge(s *stream, now time.Time) error {
	if s.expires != 0 && now.Unix() >= s.expires {
		if s.token.Issuer == APIKeyIssuer {
			return Refuse(ReasonKeyDisabled, nil, "the API key %s has expired or was replaced while it was used", s.token.ID)
		}
		return Refuse(ReasonTokenExpired, nil, "the token expired while its answer was on its way")
	}
	if s.session != nil && s.session.Ended() {
		return Refuse(ReasonSessionEnded, nil, "the session ended while its answer was on its way")
	}
	if turn := g.config.Revocations.Turn(); turn != s.turn {
		s.turn = turn
		if kind := g.config.Revocations.Names(&s.memo.keys, s.token.IssuedAt); kind != "" {
			return revokedBy(kind, s.token)
		}
		if s.cert != "" && g.config.Revocations.NamesCertificate(tenant.ID(s.memo.tenant), s.cert) {
			return revokedBy(cluster.Certificate, s.token)
		}
	}
	if s.vouched != nil {
		// Its authority may have revoked it, or not be believed any more.
		if _, err := s.vouched.caller(s.chain, s.cert, now); err != nil {
			return err
		}
	}
	if s.token.Issuer == APIKeyIssuer && g.config.APIKeys != nil {
		if turn := g.config.APIKeys.turn.Load(); turn != s.keyTurn {
			s.keyTurn = turn
			stands, expires := g.config.APIKeys.stands(s.token.ID)
			if !stands {
				return errKeyDisabled
			}
			s.expires = expires
		}
	}
	return nil
}

// ask asks the issuer of an opaque token whether it still stands. One that does not
// answer is asked again for a while; then nobody can say who is calling.
func (o *streams) ask(g *Gateway, s *stream) {
	ctx, cancel := context.WithTimeout(g.base, askAgain)
	defer cancel()
	raw := s.raw
	if s.session != nil {
		raw, _, _ = s.session.Access(g.config.Now(), false) // it may have been renewed
	}
	_, err := s.issuer.Ask(ctx, raw)
	now := g.config.Now()
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, open := o.open[s]; !open || s.why != nil {
		return
	}
	switch {
	case err == nil:
		s.askAt, s.giveUpAt = now.Add(askEvery), time.Time{}
		return
	case verify.ReasonOf(err) == verify.ReasonIssuerUnreachable && (s.giveUpAt.IsZero() || now.Before(s.giveUpAt)):
		if s.giveUpAt.IsZero() {
			s.giveUpAt = now.Add(patience)
		}
		s.askAt = now.Add(askAgain)
		return
	}
	s.why = refusedToken(err)
	g.config.Logger.Debug("an open stream is ended, its issuer does not stand by the token", slog.Any("error", err))
}

// close forgets all streams, and returns when no issuer is asked any more.
func (o *streams) close() {
	o.mu.Lock()
	o.closed = true
	o.open = nil
	if o.timer != nil {
		o.timer.Stop()
	}
	o.mu.Unlock()
	o.asking.Wait()
}

// Streams returns how many answers are on their way for long.
func (g *Gateway) Streams() int {
	g.streams.mu.Lock()
	defer g.streams.mu.Unlock()
	return len(g.streams.open)
}

var _ wire.Watcher = watched{}
