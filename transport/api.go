package transport

import "github.com/linkbeat/linkbeat/transport/faults"

// What users of a Link name, and packages below it own.

// Loss is how the loss of a session was noticed; Status counts them by it.
type Loss = faults.Loss
