package cri

// FakeOptions are options over fakes, for the examples.
func FakeOptions(root, run string) Options { return newWorldIn(root, run).o }
