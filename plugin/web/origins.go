package web

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// Origins says which web pages may talk to a service: a browser sends the origin of the
// page with each request, and its user may be logged in here or stand behind the same
// firewall. The zero value allows pages of the service's own host and port alone. Requests
// without an origin do not come from a page and are always allowed.
type Origins struct {
	any   bool
	known map[string]bool
}

// OriginsSchema is the JSON Schema of the list that ParseOrigins takes, for the settings of
// a plugin.
const OriginsSchema = `{"type": "array", "maxItems": 1000, "items": {"type": "string", "pattern": "^([*]|null|[a-z][a-z0-9+.-]*://[^/]+)$"}, "default": []}`

// ParseOrigins takes origins as browsers send them: scheme://host with the port unless it is
// the scheme's own, "null" for pages that are files, "*" for every page. Its error says
// which is none.
func ParseOrigins(list []string) (Origins, error) {
	o := Origins{known: make(map[string]bool, len(list))}
	for _, text := range list {
		if text == "*" {
			o.any = true
			continue
		}
		u, err := url.Parse(text)
		if text != "null" && (err != nil || u.Scheme == "" || u.Host == "" || u.Path != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil) {
			return Origins{}, fmt.Errorf("%q is not an origin: write scheme://host, with the port unless it is the scheme's own, or null, or *", text)
		}
		o.known[strings.ToLower(text)] = true
	}
	return o, nil
}

// Allow reports whether the page that sent r may talk to the service.
func (o Origins) Allow(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" || o.any || o.known[strings.ToLower(origin)] {
		return true
	}
	_, host, ok := strings.Cut(origin, "://")
	return ok && host != "" && strings.EqualFold(host, r.Host)
}
