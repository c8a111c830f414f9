package main

// known are scenarios that differ for now, and what is missing.
var known = map[string]string{}
