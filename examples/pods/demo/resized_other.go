//go:build !unix

package main

import "os"

// resized are the signals that tell of a terminal's new size. There is none here,
// but an empty list would mean all signals: this one never comes.
var resized = []os.Signal{os.Kill}
