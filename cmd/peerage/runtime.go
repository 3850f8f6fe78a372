package main

import (
	"os"
	"runtime"
)

// parallelPasswords bounds the computations of argon2id at once, 19 MiB each:
// more than there are cores would only make each of them slower.
var parallelPasswords = runtime.NumCPU()

// makeRoomBesidePasswords lets Go run more threads than there are cores. A
// computation of argon2id holds a thread of Go's for up to 10 ms before it
// gives way; the kernel shares the cores at once, so that nobody's request
// waits behind other people's sign-ins.
func makeRoomBesidePasswords() { runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + parallelPasswords) }

// ballastBytes are what a server may leave lying about, and a little more,
// before its heap is collected.
const ballastBytes = 32 << 20

// newBallast makes Go collect the heap less often. Go does that when the heap
// is twice of what is alive, which here is a few megabytes: a busy server would
// collect all the time. A larger GOGC would do too, but it also multiplies what
// sign-ins leave behind, 19 MiB each. Nobody writes to the ballast, so it takes
// up no memory. Operators who set GOGC or GOMEMLIMIT decide for themselves.
func newBallast() []byte {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return nil
	}
	return make([]byte, ballastBytes)
}
