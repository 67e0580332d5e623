package pg

import (
	"runtime"
	"testing"
)

// outcome records how a test was ended.
type outcome struct {
	testing.TB
	how string
}

func (o *outcome) Helper()      {}
func (o *outcome) Skip(...any)  { o.how = "skipped"; runtime.Goexit() }
func (o *outcome) Fatal(...any) { o.how = "failed"; runtime.Goexit() }

func TestMissingServerHidesNothing(t *testing.T) {
	for value, want := range map[string]string{"": "skipped", "1": "failed"} {
		t.Setenv(Required, value)
		var c Cluster
		c.once.Do(func() { c.err = errMissing })
		o := &outcome{TB: t}
		done := make(chan struct{})
		go func() {
			defer close(done)
			c.Database(o)
		}()
		<-done
		if o.how != want {
			t.Errorf("with %s=%q the test was %s, want %s", Required, value, o.how, want)
		}
	}
}

func TestDatabasesAreApart(t *testing.T) {
	var c Cluster
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	if a, b := c.Database(t), c.Database(t); a == b {
		t.Errorf("both are %s", a)
	}
}
