package wire

import "time"

// lender has a buffer for the moment in which there are bytes to put into it.
type lender interface {
	lend() []byte
	takeBack()
}

// readLentPortable is readLent for connections whose descriptor cannot be waited
// on without reading, TLS among them: one byte is read where nothing is held, and the
// rest of what came with it after that.
func (s *socket) readLentPortable(from lender, until time.Time) (int, error) {
	from.takeBack()
	s.armRead(until)
	var one [1]byte
	n, err := s.nc.Read(one[:])
	if n == 0 {
		return 0, err
	}
	from.lend()[0] = one[0]
	return 1, nil
}
