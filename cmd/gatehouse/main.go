// Command gatehouse is an API gateway and an API access management server in
// one binary. It holds nothing but the call of the command line.
package main

import (
	"os"

	"gatehouse/internal/cli"
)

func main() { os.Exit(cli.Main(os.Args[1:])) }
