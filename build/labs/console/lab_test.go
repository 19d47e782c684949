package console

import "testing"

func TestAConsoleOverASlowPath(t *testing.T) { Lab().Test(t) }
