package wire

import (
	"bytes"
	"net/http"
)

// Why a head is refused. The texts are for logs and say nothing of what was sent.
var (
	errBareLine     = bad("a line ends without CR LF, or a CR stands alone")
	errControl      = bad("a control byte in the head")
	errNameEmpty    = bad("a header line without a name")
	errName         = bad("a header name is not a token, or white space stands before the colon")
	errFold         = bad("a header line is folded")
	errUnderscore   = bad("a header name holds an underscore, which some servers read as a hyphen")
	errValue        = bad("a header value holds a control byte")
	errLengthTwice  = bad("more than one Content-Length")
	errLength       = bad("Content-Length is not a plain decimal number")
	errCodingTwice  = bad("more than one Transfer-Encoding")
	errCoding       = bad("Transfer-Encoding is not exactly chunked")
	errCodingOld    = bad("Transfer-Encoding on an HTTP/1.0 message")
	errBothFramings = bad("both Content-Length and Transfer-Encoding")
	errConnection   = bad("a Connection line is not a list of names, or names a field that routes or frames the message")
	errTrailerNames = bad("a Trailer line names a field that frames the message")
	errFieldCount   = &refusal{http.StatusRequestHeaderFieldsTooLarge, ReasonAmbiguous, "too many header lines"}
	errHeadSize     = &refusal{http.StatusRequestHeaderFieldsTooLarge, ReasonAmbiguous, "the head is too large"}
)

func bad(detail string) *refusal { return &refusal{http.StatusBadRequest, ReasonAmbiguous, detail} }

// framing is what the fields of a head say about the message and its connection.
type framing struct {
	length    int64 // Content-Length, or -1
	chunked   bool
	close     bool // Connection: close
	keepAlive bool // Connection: keep-alive
	upgrade   bool // Connection: upgrade
	nominates bool // Connection names header fields
	host      []byte
	hostLines int
	upgradeTo []byte // Upgrade
	expect    bool
	trailers  bool // Trailer, or TE: trailers
}

var emptyLine = []byte("\r\n\r\n") // made once: where it is written out, some builds allocate it each time

// headEnd looks for the empty line that ends a head. b[:seen] has been looked
// through before. It returns the length of the head, or 0 when more is needed; bytes that can
// be in no head are refused at once instead of when time runs out.
func headEnd(b []byte, seen int) (int, *refusal) {
	from := max(0, seen-3)
	if i := bytes.Index(b[from:], emptyLine); i >= 0 {
		return from + i + 4, nil
	}
	for i := seen; i < len(b); i++ {
		switch c := b[i]; {
		case c == '\n':
			if i == 0 || b[i-1] != '\r' {
				return 0, errBareLine
			}
		case i > 0 && b[i-1] == '\r':
			return 0, errBareLine
		case c < ' ' && c != '\t' && c != '\r' || c == 0x7f:
			return 0, errControl
		}
	}
	return 0, nil
}

// cutLine takes the first line off b, which ends with CR LF.
func cutLine(b []byte) (line, rest []byte, err *refusal) {
	i := bytes.IndexByte(b, '\r')
	if i < 0 || i+1 >= len(b) || b[i+1] != '\n' {
		return nil, nil, errBareLine
	}
	return b[:i], b[i+2:], nil
}

// parseFields reads header lines up to the end of b into fields, and into f what
// they say about the message. request makes it refuse names with underscores.
func parseFields(b []byte, fields []Field, most int, request bool, f *framing) ([]Field, *refusal) {
	*f = framing{length: -1}
	for len(b) > 0 {
		if len(fields) == most {
			return fields, errFieldCount
		}
		n, kind := fieldName(b)
		if n == 0 || n == len(b) || b[n] != ':' {
			return fields, nameError(b, n)
		}
		name := b[:n]
		line, rest, err := cutLine(b[n+1:])
		if err != nil {
			return fields, err
		}
		b = rest
		value := trimSpace(line)
		if !noControls(value) {
			return fields, errValue
		}
		if request && bytes.IndexByte(name, '_') >= 0 {
			return fields, errUnderscore
		}
		fields = append(fields, Field{Name: name, Value: value, Kind: kind})
		if kind == Other {
			continue
		}
		if err := f.note(kind, value); err != nil {
			return fields, err
		}
	}
	if f.chunked && f.length >= 0 {
		return fields, errBothFramings
	}
	if f.nominates {
		return fields, f.nominate(fields)
	}
	return fields, nil
}

func nameError(b []byte, n int) *refusal {
	if n == 0 && len(b) > 0 {
		switch b[0] {
		case ' ', '\t':
			return errFold
		case ':':
			return errNameEmpty
		}
	}
	return errName
}

// note takes in one field that concerns the message or its connection.
//
//nolint:exhaustive // the other kinds say nothing about framing
func (f *framing) note(kind Kind, value []byte) *refusal {
	switch kind {
	case Host:
		f.host = value
		f.hostLines++
	case ContentLength:
		if f.length >= 0 {
			return errLengthTwice
		}
		if f.length = parseLength(value); f.length < 0 {
			return errLength
		}
	case TransferEncoding:
		if f.chunked {
			return errCodingTwice
		}
		if !EqualFold(value, "chunked") {
			return errCoding
		}
		f.chunked = true
	case Connection:
		return f.noteConnection(value)
	case Upgrade:
		f.upgradeTo = value
	case Expect:
		f.expect = true
	case Trailer:
		f.trailers = true
		return checkTrailer(value)
	case TE:
		for len(value) > 0 {
			var m []byte
			if m, value = nextMember(value); EqualFold(m, "trailers") {
				f.trailers = true
			}
		}
	}
	return nil
}

func (f *framing) noteConnection(value []byte) *refusal {
	for len(value) > 0 {
		var m []byte
		m, value = nextMember(value)
		switch {
		case EqualFold(m, "close"):
			f.close = true
		case EqualFold(m, "keep-alive"):
			f.keepAlive = true
		case EqualFold(m, "upgrade"):
			f.upgrade = true
		case len(m) == 0:
		case !ValidFieldName(m):
			return errConnection
		default:
			f.nominates = true
		}
	}
	return nil
}

func checkTrailer(value []byte) *refusal {
	for len(value) > 0 {
		var m []byte
		m, value = nextMember(value)
		if k := Classify(m); k.Framing() || k == Trailer {
			return errTrailerNames
		}
	}
	return nil
}

// nominate marks the fields that Connection lines name. What says where a
// message goes and where it ends cannot be made to end here.
func (f *framing) nominate(fields []Field) *refusal {
	for i := range fields {
		if fields[i].Kind != Connection {
			continue
		}
		for list := fields[i].Value; len(list) > 0; {
			var m []byte
			if m, list = nextMember(list); len(m) == 0 {
				continue
			}
			if Classify(m).Framing() {
				return errConnection
			}
			for j := range fields {
				if equalFoldBytes(fields[j].Name, m) {
					fields[j].Nominated = true
				}
			}
		}
	}
	return nil
}
