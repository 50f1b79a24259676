// Package manager runs an Antano server: params become a plan, the plan becomes
// services, each service runs its processes, and messages are relayed between them.
//
// Load is cheap to undo: it starts nothing that stays. Server.Run blocks until its
// context ends and returns when nothing is left. Everything else is safe for
// concurrent use. Source: docs/architecture.md.
package manager
