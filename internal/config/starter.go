package config

import _ "embed"

//go:embed starter.yaml
var starter []byte

// Starter returns the text that a new configuration begins as. It is valid as it is.
func Starter() []byte { return append([]byte(nil), starter...) }
