package gateway

import (
	"errors"
	"strconv"

	"gatehouse/internal/wire"
)

// defaultMaxBody is how large a request body may be when nothing is said, in bytes.
const defaultMaxBody = 10 << 20

// guard bounds what is let in before anybody spends work on it.
type guard struct {
	maxBody int64 // bytes
}

// Do implements step. A body whose length is declared is refused here; of one
// whose length is not known, reading fails beyond the limit.
func (s *guard) Do(ex *Exchange) error {
	if ex.req.Body.Length() == 0 {
		return nil
	}
	if err := ex.req.Body.Limit(s.maxBody); err != nil {
		return Refuse(ReasonBodyTooLarge, nil, "the body has %d bytes, the limit is %d", ex.req.Body.Length(), s.maxBody)
	}
	return nil
}

func (s *guard) explain(*facts) (needed, had string) {
	return "a body of at most " + strconv.FormatInt(s.maxBody, 10) + " bytes", ""
}

// bodyReason returns the reason of an error that came from reading the request
// body, or "": the client's fault, whatever the backend made of it.
func bodyReason(err error) string {
	switch {
	case errors.Is(err, wire.ErrBodyTooLarge):
		return ReasonBodyTooLarge
	case errors.Is(err, wire.ErrBodyInvalid), errors.Is(err, wire.ErrBodyTruncated), errors.Is(err, wire.ErrBodyTimeout):
		return ReasonAmbiguousRequest
	}
	return ""
}
