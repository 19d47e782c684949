package main

// Exceptions from the limits of limits.go, each with what it has today: it may shrink, not grow.
func Exceptions() []Exception {
	return []Exception{
		{Methods, "agent/spool.Spool", 53, "one queue of records with one lock: what is appended, read, " +
			"acknowledged and evicted must agree; its methods are short"},
		{Files, "config", 36, "one cohesive engine, one concern a file; nothing of it can be left out or used alone"},
		{Methods, "config.checker", 45,
			"one pass over the document, a method for each section; their order in the file is that of the document"},
		{Methods, "transport/heartbeat.Search", 38,
			"the search for a path's limit is one state machine, pure; an entry point for each thing that can happen"},
	}
}
