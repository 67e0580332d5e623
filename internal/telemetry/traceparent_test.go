package telemetry

import (
	"strings"
	"testing"
)

const sampleParent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

func TestParseTraceParent(t *testing.T) {
	tp, ok := ParseTraceParent([]byte(sampleParent))
	if !ok || !tp.Sampled() || string(tp.Append(nil)) != sampleParent {
		t.Fatalf("%v %s", ok, tp.Append(nil))
	}
	for in, want := range map[string]bool{
		strings.Replace(sampleParent, "-01", "-00", 1):               true,
		strings.Replace(sampleParent, "-01", "-fd", 1):               true, // unknown flags are ignored
		"cc" + sampleParent[2:]:                                      true, // a later version
		"cc" + sampleParent[2:] + "-what-ever":                       true,
		"cc" + sampleParent[2:] + "x":                                false,
		sampleParent + "-x":                                          false,
		"ff" + sampleParent[2:]:                                      false,
		strings.ToUpper(sampleParent):                                false,
		"00-00000000000000000000000000000000-b7ad6b7169203331-01":    false,
		"00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01":    false,
		"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0":     false,
		"00-0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331-01":    false,
		"00-0af7651916cd43dd8448eb211c8031\r\n-b7ad6b7169203331-01-": false,
		"": false,
	} {
		got, ok := ParseTraceParent([]byte(in))
		if ok != want {
			t.Errorf("%q: %v, want %v", in, ok, want)
		}
		if !ok && got != (TraceParent{}) {
			t.Errorf("%q: refused, but gives %v", in, got)
		}
	}
}

func FuzzTraceParent(f *testing.F) {
	f.Add([]byte(sampleParent))
	f.Add([]byte("cc" + sampleParent[2:] + "-more"))
	f.Fuzz(func(t *testing.T, in []byte) {
		tp, ok := ParseTraceParent(in)
		if !ok {
			return
		}
		out := tp.Append(nil)
		again, ok := ParseTraceParent(out)
		if !ok || again != tp || len(out) != 55 || string(out[3:53]) != string(in[3:53]) {
			t.Fatalf("%q became %q", in, out)
		}
	})
}

func TestTraceParentNoAllocation(t *testing.T) {
	in, buf := []byte(sampleParent), make([]byte, 0, 64)
	var off *Tracer
	if n := testing.AllocsPerRun(100, func() {
		tp, ok := ParseTraceParent(in)
		out, span := off.Start(tp, ok, "GET /", epochForTest)
		if span != nil || out.SpanID == tp.SpanID || out.TraceID != tp.TraceID {
			t.Fatal("the tracer that is off does not pass the trace on")
		}
		span.Event("step", "reason", epochForTest)
		span.End(epochForTest, "")
		buf = out.Append(buf[:0])
		buf = NewTraceParent().Append(buf[:0])
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
