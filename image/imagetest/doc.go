// Package imagetest makes images out of nothing and serves them: for tests of
// whatever pulls images, and for programs that bring their own image along.
//
// An [Image] is a value; a [Registry] is an http.Handler that serves images,
// with any fault that a registry can have; a [Fake] is an image store in
// memory; [Run] is the suite that a store has to pass.
package imagetest
