package okta

import (
	"strconv"

	"gatehouse/internal/access"
	"gatehouse/internal/keys"
)

func (a *api) listCertificates(c *call) (answer, error) {
	o, err := a.Access.App(c.Context(), c.arg("appId"))
	if err != nil {
		return answer{}, err
	}
	out := make([]object, len(o.Value.Certificates))
	for i, x := range o.Value.Certificates {
		if out[i], err = certificate(x); err != nil {
			return answer{}, err
		}
	}
	return ok(out)
}

func (a *api) getCertificate(c *call) (answer, error) {
	o, err := a.Access.App(c.Context(), c.arg("appId"))
	if err != nil {
		return answer{}, err
	}
	x, err := o.Value.Certificate(c.arg("keyId"))
	if err != nil {
		return answer{}, err
	}
	out, err := certificate(x)
	if err != nil {
		return answer{}, err
	}
	return ok(out)
}

func (a *api) generateCertificate(c *call) (answer, error) {
	years, err := strconv.Atoi(c.FormValue("validityYears"))
	if err != nil {
		return answer{}, unsupported("validityYears", "must be a number of years from 2 to 10")
	}
	x, err := a.Access.GenerateCertificate(c.Context(), c.by(), c.arg("appId"), years)
	return madeCertificate(x, err)
}

// cloneCertificate gives a certificate to another app, which the caller must be
// allowed to change as well.
func (a *api) cloneCertificate(c *call) (answer, error) {
	target := &call{Request: c.Request, args: map[string]string{"appId": c.FormValue("targetAid")}, actor: c.actor}
	if err := a.mayChangeApp(target); err != nil {
		return answer{}, err
	}
	x, err := a.Access.CloneCertificate(c.Context(), c.by(), c.arg("appId"), c.arg("keyId"), c.FormValue("targetAid"))
	return madeCertificate(x, err)
}

func madeCertificate(x access.AppCertificate, err error) (answer, error) {
	if err != nil {
		return answer{}, err
	}
	out, err := certificate(x)
	if err != nil {
		return answer{}, err
	}
	return created(out)
}

// certificate shows a certificate as a JSON Web Key, without its key.
func certificate(x access.AppCertificate) (object, error) {
	n, e, thumbprint, err := keys.CertificateKey(x.DER)
	return object{
		"kty": "RSA", "use": "sig", "kid": x.ID, "n": n, "e": e, "x5c": [][]byte{x.DER}, "x5t#S256": thumbprint,
		"created": stamp(x.Created), "lastUpdated": stamp(x.Created), "expiresAt": stamp(x.Expires),
	}, err
}
