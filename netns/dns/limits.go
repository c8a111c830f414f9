package dns

import (
	"fmt"
	"strings"
)

// limit cuts c to what resolvers take.
func limit(c Config) (Config, []Event) {
	var events []Event
	if len(c.Servers) > MaxServers {
		c.Servers = c.Servers[:MaxServers:MaxServers]
		events = append(events, Event{ReasonForming, "Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is: " + strings.Join(c.Servers, " "), false})
	}
	s, cut := limitSearches(c.Searches)
	if cut {
		events = append(events, Event{ReasonForming, "Search Line limits were exceeded, some search paths have been omitted, the applied search line is: " + strings.Join(s, " "), false})
	}
	c.Searches = s
	return c, events
}

// limitSearches keeps the first 32 domains, of these the ones that are not too
// long (some resolvers abort on a longer one), of these as many as fit a line.
func limitSearches(all []string) (kept []string, cut bool) {
	if len(all) > MaxSearches {
		all, cut = all[:MaxSearches], true
	}
	chars := -1 // no space before the first
	for _, d := range all {
		if len(d) > MaxSearchEntry {
			cut = true
			continue
		}
		kept = append(kept, d)
		chars += len(d) + 1
	}
	for chars > MaxSearchChars {
		chars -= len(kept[len(kept)-1]) + 1
		kept, cut = kept[:len(kept)-1], true
	}
	return kept, cut
}

// CheckLimits says how the host's own resolv.conf, read from the file of that
// name, exceeds the limits, leaving room for the cluster's search domains. It
// returns the first thing that it finds, or nothing.
func CheckLimits(file string, host Config, clusterDomain string) []Event {
	domains := MaxSearches
	if clusterDomain != "" {
		domains -= 3
	}
	found := func(format string, args ...any) []Event {
		return []Event{{ReasonCheckLimits, fmt.Sprintf(format, args...), true}}
	}
	if len(host.Searches) > domains {
		return found("Resolv.conf file '%s' contains search line consisting of more than %d domains!", file, domains)
	}
	for _, d := range host.Searches {
		if len(d) > MaxSearchEntry {
			return found("Resolv.conf file %q contains a search path which length is more than allowed %d chars!", file, MaxSearchEntry)
		}
	}
	if len(strings.Join(host.Searches, " ")) > MaxSearchChars {
		return found("Resolv.conf file '%s' contains search line which length is more than allowed %d chars!", file, MaxSearchChars)
	}
	return nil
}
