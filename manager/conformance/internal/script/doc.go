// Package script is the manager's end of relay links for somebody who wants to see and
// to decide each frame: it accepts links, keeps every frame of the plugin until it is
// asked for, and sends what it is told to, right or wrong. By itself it only grants
// sequences and gives credit back, and both can be switched off.
//
// One goroutine reads each link; Close ends them all and waits. All methods are safe for
// concurrent use.
package script
