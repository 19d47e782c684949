//go:build !linux

package bridge

import "errors"

func listenUevents() (Uevents, error) { return nil, errors.New("need Linux") }
