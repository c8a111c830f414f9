// Package downward gives the values that a pod may ask about itself: fields
// (fieldRef) and resources of its containers (resourceFieldRef), as the
// downward API writes them into files and environment variables.
//
// Everything is a pure function; errors have the kubelet's texts.
package downward
