package portal

import (
	"fmt"
	"html/template"
	"strings"

	"rsc.io/qr"
)

// EnrolPage shows a new TOTP key and asks for the first code; the form goes to
// /login/enrol when Demanded, else to /identity/totp. Faults: FaultWrongCode,
// FaultThrottled.
type EnrolPage struct {
	Base
	Demanded bool   // at the door, because a second factor is a must
	Asker    *Asker // who demands it; nil for the exchange itself
	Request  string
	Return   string
	UserName string
	Key      Key
	Passkeys bool // one can be added afterwards
}

func (p *EnrolPage) frame() frame {
	return frame{file: "enrol", house: !p.Demanded, place: placeAccount}
}

// Key is a TOTP key in the forms in which people take it over.
type Key struct {
	Secret string       // base32 in groups of four
	URI    template.URL // otpauth:, for an app on the same device
	QR     string       // the modules as the data of an SVG path
	Size   int          // side of the QR code in modules, with its quiet zone
}

// quietZone is the white border that ISO/IEC 18004 demands around a QR code,
// in modules.
const quietZone = 4

// NewKey prepares the key of an otpauth URI to be shown.
func NewKey(secret, otpauth string) (Key, error) {
	if !strings.HasPrefix(otpauth, "otpauth://") {
		return Key{}, fmt.Errorf("draw QR code: not an otpauth address")
	}
	code, err := qr.Encode(otpauth, qr.M)
	if err != nil {
		return Key{}, fmt.Errorf("draw QR code: %w", err)
	}
	return Key{
		Secret: groupsOfFour(secret),
		URI:    template.URL(otpauth), // #nosec G203 -- scheme checked above
		QR:     qrPath(code),
		Size:   code.Size + 2*quietZone,
	}, nil
}

// qrPath draws each run of black modules in a row as one rectangle.
func qrPath(code *qr.Code) string {
	var d strings.Builder
	for y := range code.Size {
		for x := 0; x < code.Size; x++ {
			run := 0
			for x+run < code.Size && code.Black(x+run, y) {
				run++
			}
			if run > 0 {
				fmt.Fprintf(&d, "M%d %dh%dv1h-%dz", x+quietZone, y+quietZone, run, run)
				x += run
			}
		}
	}
	return d.String()
}

func groupsOfFour(secret string) string {
	secret = strings.TrimRight(secret, "=")
	var groups []string
	for len(secret) > 4 {
		groups = append(groups, secret[:4])
		secret = secret[4:]
	}
	return strings.Join(append(groups, secret), " ")
}
