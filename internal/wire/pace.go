package wire

import "time"

// Pace is how slowly a request body may come, for lanes that read bodies by
// themselves: Timeouts.Body of silence, and BodyRate on average, of which only the time
// spent waiting for the client counts.
type Pace struct {
	silence time.Duration
	rate    int64
	waited  time.Duration
	got     int64
}

// NewPace returns the pace that the time limits ask for.
func NewPace(t Timeouts) Pace {
	t = t.orElse()
	return Pace{silence: t.Body, rate: t.BodyRate}
}

// Patience returns how long the wait that begins now may last; 0 when the body has
// been too slow already.
func (p *Pace) Patience() time.Duration {
	if p.rate == 0 {
		return p.silence
	}
	budget := p.silence + time.Duration(p.got/p.rate)*time.Second - p.waited
	return max(0, min(p.silence, budget))
}

// Took takes note of n bytes that came after a wait.
func (p *Pace) Took(wait time.Duration, n int) {
	p.waited += wait
	p.got += int64(n)
}
