package modbus

import "testing"

func TestAgainstLibmodbusAndMbpoll(t *testing.T) { Lab().Test(t) }
