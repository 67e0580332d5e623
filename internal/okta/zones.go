package okta

import (
	"encoding/json"

	"gatehouse/internal/access"
	"gatehouse/internal/ledger"
)

// zoneBody is a zone as it is sent. Locations and networks by number are a list
// in one type of zone and two lists in another.
type zoneBody struct {
	Name      string            `json:"name"`
	Type      string            `json:"type"`
	Status    access.Status     `json:"status"`
	Usage     string            `json:"usage"`
	Gateways  []access.Network  `json:"gateways"`
	Proxies   []access.Network  `json:"proxies"`
	ProxyType string            `json:"proxyType"`
	Locations json.RawMessage   `json:"locations"`
	ASNs      json.RawMessage   `json:"asns"`
	Services  *access.Selection `json:"ipServiceCategories"`
}

func (b *zoneBody) onto(z *access.Zone) error {
	z.Name, z.Type, z.Usage, z.ProxyType = b.Name, b.Type, b.Usage, b.ProxyType
	z.Gateways, z.Proxies, z.Services = b.Gateways, b.Proxies, b.Services
	if b.Status != "" {
		z.Status = b.Status
	}
	z.Locations, z.ASNs = access.Places{}, access.Selection{}
	if err := eitherList(b.Locations, &z.Locations.Include, &z.Locations); err != nil {
		return err
	}
	return eitherList(b.ASNs, &z.ASNs.Include, &z.ASNs)
}

// eitherList decodes a list, or an object with lists.
func eitherList(raw json.RawMessage, flat, both any) error {
	into := both
	if len(raw) == 0 || string(raw) == "null" {
		return nil
	}
	if raw[0] == '[' {
		into = flat
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return malformed(err)
	}
	return nil
}

func (a *api) listZones(c *call) (answer, error) {
	limit, err := c.limit(200, 200)
	if err != nil {
		return answer{}, err
	}
	f, err := c.readFilter("filter", among("id", "usage", "name", "system", "type", "status"))
	if err != nil {
		return answer{}, err
	}
	p, err := a.Access.ListZones(c.Context(), c.FormValue("after"), limit, func(o ledger.Object[access.Zone]) bool {
		return f.match(func(path string) any {
			switch path {
			case "id":
				return o.ID
			case "usage":
				return o.Value.Usage
			case "name":
				return o.Value.Name
			case "system":
				return o.Value.System
			case "type":
				return o.Value.Type
			case "status":
				return string(o.Value.Status)
			}
			return nil
		})
	})
	if err != nil {
		return answer{}, err
	}
	return page(p.Items, p.Next, a.zone)
}

// zones are the network zones, for the operations on a collection.
func zones(a *api) collection[access.Zone, zoneBody] {
	return collection[access.Zone, zoneBody]{
		onto: (*zoneBody).onto,
		arg:  "zoneId", unique: "name", show: a.zone, status: func(z *access.Zone) *access.Status { return &z.Status },
		find: a.Access.FindZone, make: a.Access.CreateZone, change: a.Access.ChangeZone, remove: a.Access.DeleteZone,
	}
}

func (a *api) zone(o ledger.Object[access.Zone]) object {
	z, other := o.Value, opposite(o.Value.Status)
	out := object{
		"id": o.ID, "type": z.Type, "name": z.Name, "status": z.Status, "usage": z.Usage, "system": z.System,
		"created": stamp(o.Created), "lastUpdated": stamp(o.Updated),
		"_links": object{
			"self": ref(a.href("zones", o.ID), "GET", "PUT", "DELETE"),
			other:  ref(a.href("zones", o.ID, "lifecycle", other), "POST"),
		},
	}
	if z.Exempt {
		out["useAsExemptList"] = true
	}
	nullable := func(n int, v any) any {
		if n == 0 {
			return nil
		}
		return v
	}
	switch z.Type {
	case access.ZoneIP:
		out["gateways"], out["proxies"] = nullable(len(z.Gateways), z.Gateways), nullable(len(z.Proxies), z.Proxies)
	case access.ZoneDynamic:
		out["proxyType"], out["locations"] = z.ProxyType, nullable(len(z.Locations.Include), places(z.Locations.Include))
		if len(z.ASNs.Include) > 0 {
			out["asns"] = z.ASNs.Include
		}
	case access.ZoneDynamicV2:
		services := access.Selection{}
		if z.Services != nil {
			services = *z.Services
		}
		out["locations"] = object{"include": places(z.Locations.Include), "exclude": places(z.Locations.Exclude)}
		out["asns"] = object{"include": orEmpty(z.ASNs.Include), "exclude": orEmpty(z.ASNs.Exclude)}
		out["ipServiceCategories"] = object{"include": orEmpty(services.Include), "exclude": orEmpty(services.Exclude)}
	}
	return out
}

func places(list []access.Place) []object {
	out := make([]object, len(list))
	for i, p := range list {
		out[i] = object{"country": p.Country, "region": orNull(p.Region)}
	}
	return out
}
