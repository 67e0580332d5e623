package access

import (
	"hash/fnv"
	"maps"
	"slices"

	"gatehouse/internal/ledger"
	"gatehouse/verify"
)

// appShards is how many parts the table of apps has: a change copies one of them.
const appShards = 256

// state is what a View is compiled from: the objects as they are, and which parts
// of the last view they have outgrown.
type state struct {
	loaded    bool
	fresh     bool // read whole since the last view: nothing of that is to be shared
	revision  ledger.Revision
	servers   map[string]Server
	scopes    map[string]Scope
	policies  map[string]Policy
	rules     map[string]Rule
	claims    map[string]Claim
	zones     map[string]*zoneView
	hooks     map[string]*HookView
	published func(address string) verify.KeySource

	peoplePolicies map[string]PeoplePolicy
	sessionRules   map[string]SessionRule
	signOnPolicies map[string]SignOnPolicy

	places Atlas // nil: no address is known to be anywhere

	chosen  map[string]string   // id of an app to the client_id that was chosen for it
	granted map[string][]string // client_id to the scopes of the org server that the app was granted

	touched map[string]bool               // ids of servers to compile again
	signIns bool                          // the policies about people are to be compiled again
	apps    map[uint8]map[string]*AppView // shards to replace: id to app, nil for gone
}

func (s *state) reset() {
	*s = state{
		places: s.places, published: s.published, zones: map[string]*zoneView{}, hooks: map[string]*HookView{},
		servers: map[string]Server{}, scopes: map[string]Scope{},
		policies: map[string]Policy{}, rules: map[string]Rule{}, claims: map[string]Claim{}, chosen: map[string]string{}, granted: map[string][]string{},
		peoplePolicies: map[string]PeoplePolicy{}, sessionRules: map[string]SessionRule{}, signOnPolicies: map[string]SignOnPolicy{}, signIns: true,
		touched: map[string]bool{}, apps: map[uint8]map[string]*AppView{},
	}
}

// load reads everything.
func (s *state) load(tx *ledger.Tx) error {
	s.reset()
	head, err := tx.Head()
	if err != nil {
		return err
	}
	for _, err := range []error{
		each(tx, Servers, func(o ledger.Object[Server]) { s.servers[o.ID], s.touched[o.ID] = o.Value, true }),
		each(tx, Scopes, func(o ledger.Object[Scope]) { s.scopes[o.ID] = o.Value }),
		each(tx, Policies, func(o ledger.Object[Policy]) { s.policies[o.ID] = o.Value }),
		each(tx, Rules, func(o ledger.Object[Rule]) { s.rules[o.ID] = o.Value }),
		each(tx, PeoplePolicies, func(o ledger.Object[PeoplePolicy]) { s.peoplePolicies[o.ID] = o.Value }),
		each(tx, SessionRules, func(o ledger.Object[SessionRule]) { s.sessionRules[o.ID] = o.Value }),
		each(tx, SignOnPolicies, func(o ledger.Object[SignOnPolicy]) { s.signOnPolicies[o.ID] = o.Value }),
		each(tx, Zones, func(o ledger.Object[Zone]) { s.zones[o.ID] = newZoneView(o.ID, o.Value) }),
		each(tx, InlineHooks, func(o ledger.Object[InlineHook]) { s.hooks[o.ID] = &HookView{ID: o.ID, InlineHook: o.Value} }),
		each(tx, Claims, func(o ledger.Object[Claim]) { s.claims[o.ID] = o.Value }),
		each(tx, Apps, func(o ledger.Object[App]) { s.putApp(o, false) }),
	} {
		if err != nil {
			return err
		}
	}
	s.revision, s.loaded, s.fresh = head, true, true
	return nil
}

// each calls put with every object of a kind.
func each[T any](tx *ledger.Tx, kind *ledger.Kind[T], put func(ledger.Object[T])) error {
	for o, err := range kind.All(tx, ledger.Query{Limit: 1000}) {
		if err != nil {
			return err
		}
		put(o)
	}
	return nil
}

// follow applies the changes behind the state's revision.
func (s *state) follow(tx *ledger.Tx) error {
	for {
		changes, err := tx.ChangesSince(s.revision, 1000)
		if err != nil || len(changes) == 0 {
			return err
		}
		for i := range changes {
			if err := s.apply(&changes[i]); err != nil {
				return err
			}
		}
		s.revision = changes[len(changes)-1].Revision
	}
}

func (s *state) apply(c *ledger.Change) error {
	gone := c.Op == ledger.Deleted
	switch c.Kind {
	case Servers.Name():
		s.touched[c.ID] = true
		return set(s.servers, Servers, c, gone)
	case Scopes.Name():
		s.touched[s.scopes[c.ID].Server] = true
		err := set(s.scopes, Scopes, c, gone)
		s.touched[s.scopes[c.ID].Server] = true
		return err
	case Policies.Name():
		s.touched[s.policies[c.ID].Server] = true
		err := set(s.policies, Policies, c, gone)
		s.touched[s.policies[c.ID].Server] = true
		return err
	case Rules.Name():
		s.touched[s.rules[c.ID].Server] = true
		err := set(s.rules, Rules, c, gone)
		s.touched[s.rules[c.ID].Server] = true
		return err
	case Claims.Name():
		s.touched[s.claims[c.ID].Server] = true
		err := set(s.claims, Claims, c, gone)
		s.touched[s.claims[c.ID].Server] = true
		return err
	case PeoplePolicies.Name():
		s.signIns = true
		return set(s.peoplePolicies, PeoplePolicies, c, gone)
	case SessionRules.Name():
		s.signIns = true
		return set(s.sessionRules, SessionRules, c, gone)
	case SignOnPolicies.Name():
		s.signIns = true
		return set(s.signOnPolicies, SignOnPolicies, c, gone)
	case Zones.Name():
		s.signIns = true
		return s.putZone(c, gone)
	case InlineHooks.Name():
		return s.putHook(c, gone)
	case Apps.Name():
		o, err := Apps.Decode(c.Record())
		if err != nil {
			return err
		}
		s.putApp(o, gone)
	}
	return nil
}

// set puts what the change left behind into the table, or takes it out.
func set[T any](table map[string]T, kind *ledger.Kind[T], c *ledger.Change, gone bool) error {
	if gone {
		delete(table, c.ID)
		return nil
	}
	o, err := kind.Decode(c.Record())
	if err != nil {
		return err
	}
	table[c.ID] = o.Value
	return nil
}

// putZone keeps a zone, and has the servers compiled again that have a rule about
// networks.
func (s *state) putZone(c *ledger.Change, gone bool) error {
	for _, r := range s.rules {
		if r.Conditions.Network != nil {
			s.touched[r.Server] = true
		}
	}
	if gone {
		delete(s.zones, c.ID)
		return nil
	}
	o, err := Zones.Decode(c.Record())
	if err == nil {
		s.zones[c.ID] = newZoneView(c.ID, o.Value)
	}
	return err
}

// putHook keeps an inline hook, and has the servers compiled again whose rules name
// it.
func (s *state) putHook(c *ledger.Change, gone bool) error {
	for _, r := range s.rules {
		if r.Actions.Token.InlineHook == c.ID {
			s.touched[r.Server] = true
		}
	}
	if gone {
		delete(s.hooks, c.ID)
		return nil
	}
	o, err := InlineHooks.Decode(c.Record())
	if err == nil {
		s.hooks[c.ID] = &HookView{ID: c.ID, InlineHook: o.Value}
	}
	return err
}

// activeHook returns the hook that a rule names; nil for none, and for one that is
// not in force.
func (s *state) activeHook(id string) *HookView {
	if h := s.hooks[id]; h != nil && h.Status == Active {
		return h
	}
	return nil
}

func (s *state) putApp(o ledger.Object[App], gone bool) {
	client := o.Value.Client(o.ID)
	shard := shardOf(client)
	if s.apps[shard] == nil {
		s.apps[shard] = map[string]*AppView{}
	}
	s.putGrants(client, o.Value.Grants, gone)
	if gone {
		s.apps[shard][client] = nil
		delete(s.chosen, o.ID)
		return
	}
	if client != o.ID {
		s.chosen[o.ID] = client
	}
	app := NewAppView(o.ID, o.Value)
	if uri := app.OIDC.JWKSURI; uri != "" && s.published != nil {
		app.keys = s.published(uri)
	}
	s.apps[shard][client] = app
}

// putGrants keeps what an app was granted, and has the org server compiled again
// when that is new.
func (s *state) putGrants(client string, grants []ScopeGrant, gone bool) {
	if len(grants) == 0 && len(s.granted[client]) == 0 {
		return
	}
	for id, server := range s.servers {
		if server.org() {
			s.touched[id] = true
		}
	}
	delete(s.granted, client)
	if gone {
		return
	}
	var scopes []string
	for _, g := range grants {
		scopes = append(scopes, g.Scope)
	}
	if len(scopes) > 0 {
		s.granted[client] = scopes
	}
}

func shardOf(clientID string) uint8 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(clientID))
	return uint8(h.Sum32())
}

// compile returns the next view: what did not change is shared with the last one.
func (s *state) compile(last *View) *View {
	v := &View{revision: int64(s.revision)}
	if last != nil && !s.fresh {
		v.servers, v.shards, v.apps = maps.Clone(last.servers), last.shards, last.apps
		v.people, v.appPolicies, v.askGroups, v.askRisk, v.askDevice = last.people, last.appPolicies, last.askGroups, last.askRisk, last.askDevice
	} else {
		v.servers = map[string]*ServerView{}
	}
	if s.signIns {
		s.compilePeople(v)
	}
	s.compileServers(v)
	for shard, changed := range s.apps {
		next := maps.Clone(v.shards[shard])
		if next == nil {
			next = map[string]*AppView{}
		}
		before := len(next)
		for id, app := range changed {
			if app == nil {
				delete(next, id)
				continue
			}
			next[id] = app
		}
		v.apps += len(next) - before
		v.shards[shard] = next
	}
	clear(s.touched)
	clear(s.apps)
	s.fresh, s.signIns = false, false
	return v
}

func (s *state) compileServers(v *View) {
	for id := range s.touched {
		if old := v.servers[id]; old != nil {
			delete(v.servers, id)
			if old.Default {
				delete(v.servers, old.Name)
			}
		}
	}
	for id := range s.touched {
		server, ok := s.servers[id]
		if !ok {
			continue
		}
		compiled := newServerView(id, server, s.scopesOf(id), s.policiesOf(id))
		if server.org() {
			compiled.granted = maps.Clone(s.granted)
		}
		compiled.claims = compileClaims(s.claims, id)
		v.servers[id] = compiled
		if server.Default {
			v.servers[server.Name] = compiled
		}
	}
}

// clientIDs returns the client ids of apps. Apps that a policy names cannot go, and
// what an app is called never changes: so this holds as long as the policy does.
func (s *state) clientIDs(apps []string) []string {
	out := slices.Clone(apps)
	for i, id := range out {
		if client, ok := s.chosen[id]; ok {
			out[i] = client
		}
	}
	return out
}

func (s *state) scopesOf(server string) []Scope {
	var out []Scope
	for _, sc := range s.scopes {
		if sc.Server == server {
			out = append(out, sc)
		}
	}
	return out
}

func (s *state) policiesOf(server string) []policyView {
	var out []policyView
	for id, p := range s.policies {
		if p.Server != server {
			continue
		}
		pv := policyView{id: id, Policy: p}
		pv.Conditions.Clients.Include = s.clientIDs(p.Conditions.Clients.Include)
		for ruleID, r := range s.rules {
			if r.Policy == id {
				pv.rules = append(pv.rules, ruleView{id: ruleID, Rule: r, network: r.Conditions.Network.compile(s.zones, s.places), hook: s.activeHook(r.Actions.Token.InlineHook)})
			}
		}
		out = append(out, pv)
	}
	return out
}
