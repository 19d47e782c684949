//go:build !linux

package bridge

import "errors"

func listenUevents() (uevents, error) { return nil, errors.New("need Linux") }
