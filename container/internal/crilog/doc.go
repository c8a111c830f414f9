// Package crilog writes a container's output in the CRI log format:
//
//	2016-10-06T00:17:09.669794202Z stdout F a line
//	2016-10-06T00:17:10.113242941Z stderr P the first 16 KiB of a longer one
//
// [Format] is the format, [File] the file with its rotation and its behaviour on
// a disk that is slow or full, [Pump] carries bytes from FIFOs to the file so
// that a line leaves its FIFO only after it is in the file.
package crilog
