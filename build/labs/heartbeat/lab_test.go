package heartbeat

import "testing"

func TestLearnsBehindARealNAT(t *testing.T) { Lab().Test(t) }
