// Package rig runs processes of one plugin as a manager would: with a directory, inherited
// sockets, a share page, a lifeline and a scripted relay. Close ends everything and leaves
// nothing behind; the processes are killed with their groups.
package rig
