package wire

import (
	"bytes"
	"net/http"
)

// Why the head of an answer is refused.
var (
	errStatusLine = bad("the status line is not a version and a status of three digits")
	errSwitch     = bad("the upstream switches protocols without having been asked")
	errInterim    = bad("too many interim answers")
	errEndOfHead  = bad("the connection ended in the middle of the head")
)

// answerHead is what a response head says beyond what Response shows.
type answerHead struct {
	framing
	old bool // HTTP/1.0
}

// parseResponse reads a response head, the empty line at its end included, into
// resp. Everything in resp points into b.
func parseResponse(b []byte, lim *Limits, resp *Response, h *answerHead) *refusal {
	line, rest, err := cutLine(b)
	if err != nil {
		return err
	}
	if err := parseStatusLine(line, resp, h); err != nil {
		return err
	}
	old := h.old
	resp.Fields, err = parseFields(rest[:len(rest)-2], resp.Fields[:0], lim.Fields, false, &h.framing)
	if err != nil {
		return err
	}
	if old && h.chunked {
		return errCodingOld
	}
	return nil
}

func parseStatusLine(line []byte, resp *Response, h *answerHead) *refusal {
	if len(line) < 12 || string(line[:7]) != "HTTP/1." || line[7]-'0' > 1 || line[8] != ' ' {
		return errStatusLine
	}
	status := parseLength(line[9:12])
	if status < 100 || status > 599 {
		return errStatusLine
	}
	reason := line[12:]
	if len(reason) > 0 {
		if reason[0] != ' ' || !noControls(reason) {
			return errStatusLine
		}
		reason = reason[1:]
	}
	resp.Status, resp.Reason, h.old = int(status), reason, line[7] == '0'
	return nil
}

// bodyless reports whether an answer has no content whatever its fields say
// (RFC 9112 section 6.3).
func bodyless(method []byte, status int) bool {
	return status < 200 || status == http.StatusNoContent || status == http.StatusNotModified ||
		bytes.Equal(method, []byte(http.MethodHead))
}
