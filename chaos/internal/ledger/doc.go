// Package ledger keeps the books of a chaos run: which copy of which message was owed
// to whom, what arrived, what was answered, and what became of the rest.
//
// A copy is one message to one client or handler; a group message owes one to every
// member. Each copy ends in exactly one column of Totals. The book is told what
// happens and when; it reads no clock and does no I/O. A Book is safe for concurrent use.
package ledger
