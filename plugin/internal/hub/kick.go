package hub

import (
	"errors"

	"github.com/antano/antano/shared"
)

var errKicked = errors.New("kicked by an operator")

// Kick retires a client and reports whether there is one with this id that was not
// ending already. It does not wait.
func (h *Hub) Kick(id shared.ClientID) bool {
	c := h.client(id)
	if c == nil || c.isRetired() {
		return false
	}
	c.Retire(errKicked)
	return true
}
