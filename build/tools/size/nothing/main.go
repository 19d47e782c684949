// Command nothing does nothing. It is linked like linkbeat, for machines that make test compiles nothing else for.
package main

func main() {}
