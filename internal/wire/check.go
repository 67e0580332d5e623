package wire

import "net/http"

// Check asks of a request that another lane has read what this one asks of a
// request line and a Host line; it returns nil when nothing is wrong. The target must be in
// origin form, or "*" for OPTIONS.
func (r *Request) Check(lim *Limits) *Rejection {
	var why *refusal
	switch {
	case len(r.Method) == 0:
		why = errMethod
	case len(r.Target) > lim.TargetBytes:
		why = errTargetSize
	case len(r.Host) == 0:
		why = errHostMissing
	case !validHost(r.Host):
		why = errHost
	default:
		if why = checkMethod(r.Method); why != nil {
			break
		}
		switch {
		case len(r.Target) == 0:
			why = errTargetForm
		case r.Target[0] == '/':
			why = checkTarget(r.Target)
		case string(r.Target) != "*" || string(r.Method) != http.MethodOptions:
			why = errTargetForm
		}
	}
	if why == nil {
		return nil
	}
	return &Rejection{Remote: r.Remote, Status: why.status, Reason: why.reason, Detail: why.detail}
}
