// Package catalog finds service plugins: the plugin of type T is the executable
// antano-service-T in one of the plugin directories, the first that has it.
//
// A Binary is a plugin's file that was opened and checksummed once, so that what is
// executed is what was checked. Everything here reads files and blocks for as long as
// that takes; nothing is kept running.
package catalog
