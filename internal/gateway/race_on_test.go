//go:build race

package gateway

// raceDetector says that the race detector is on: sync.Pool then forgets at random.
const raceDetector = true
