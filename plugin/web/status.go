package web

import (
	"net/http"
	"strings"

	"github.com/antano/antano/shared"
)

// Status is an error code in HTTP.
func Status(code shared.Code) int {
	switch code {
	case shared.CodeBadMessage, shared.CodeNoDestination:
		return http.StatusBadRequest
	case shared.CodeDenied:
		return http.StatusForbidden
	case shared.CodeNoSuchEntity, shared.CodeNoSuchProcess:
		return http.StatusNotFound
	case shared.CodeTooLarge:
		return http.StatusRequestEntityTooLarge
	case shared.CodeUnsupported:
		return http.StatusNotImplemented
	case shared.CodeProcessLost:
		return http.StatusBadGateway
	case shared.CodeOverloaded, shared.CodeShuttingDown:
		return http.StatusServiceUnavailable
	case shared.CodeTimeout:
		return http.StatusGatewayTimeout
	}
	return http.StatusInternalServerError
}

// Path is the `endpoint` of a service as the path of a URL: with a slash in front and,
// unless it is all, none behind. Empty is "/".
func Path(endpoint string) string { return "/" + strings.Trim(endpoint, "/") }
