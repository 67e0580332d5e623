package spec

import "fmt"

// unbuilt are the features that can be described and that this version does not
// serve: describing one is an error, never silence. A feature is taken off here
// when the gateway enforces it, and nowhere else.
var unbuilt = map[string]bool{
	"redis":         true,
	"openapi":       true,
	"balance: hash": true,
	"plans":         true,
}

// Unbuilt reports whether a feature is not supported yet, by its name such as "when".
func Unbuilt(feature string) bool { return unbuilt[feature] }

// ErrUnbuilt says that the feature is valid and not supported yet.
type ErrUnbuilt struct{ Feature string }

// Error names the feature.
func (e ErrUnbuilt) Error() string {
	return fmt.Sprintf("not supported yet: %s; this version of Gatehouse cannot enforce it", e.Feature)
}
