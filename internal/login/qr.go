package login

import (
	"image/color"
	"net/url"
	"strconv"
	"strings"

	"github.com/boombuler/barcode/qr"
)

// keyURI is what an authenticator app reads from the image: the issuer is what it
// shows above the code.
func keyURI(issuer, account, secret string) string {
	label := url.PathEscape(issuer + ":" + account)
	q := url.Values{"secret": {secret}, "issuer": {issuer}}
	return "otpauth://totp/" + label + "?" + strings.ReplaceAll(q.Encode(), "+", "%20")
}

// squares is a square image of dark and light, for an inline SVG: a policy that
// allows nothing inline but markup allows that.
type squares struct {
	Size int    // of a side, quiet zone included
	Path string // of the dark squares
}

// quietZone is the margin that readers need (ISO/IEC 18004), in squares.
const quietZone = 4

// qrSquares returns the QR code of a text.
func qrSquares(text string) (squares, error) {
	code, err := qr.Encode(text, qr.M, qr.Auto)
	if err != nil {
		return squares{}, err
	}
	side := code.Bounds().Dx()
	var b strings.Builder
	for y := range side {
		for x := 0; x < side; {
			run := x
			for run < side && code.At(run, y) == color.Black {
				run++
			}
			if run > x {
				b.WriteString("M" + strconv.Itoa(x+quietZone) + " " + strconv.Itoa(y+quietZone) + "h" + strconv.Itoa(run-x) + "v1H" + strconv.Itoa(x+quietZone) + "z")
			}
			x = run + 1
		}
	}
	return squares{Size: side + 2*quietZone, Path: b.String()}, nil
}

// grouped sets spaces into a secret, for a person who types it.
func grouped(secret string) string {
	var b strings.Builder
	for i, c := range secret {
		if i > 0 && i%4 == 0 {
			b.WriteByte(' ')
		}
		b.WriteRune(c)
	}
	return b.String()
}
