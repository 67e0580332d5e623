package login

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/directory"
	"gatehouse/internal/session"
)

// ExportPath is the page from which people take what is held about them.
const ExportPath = "/account/export"

// eventsExported bounds the part of the system log.
const eventsExported = 10_000

// exported is the document: all that is held about a person but what would let its
// reader act as the person.
type exported struct {
	Made     time.Time         `json:"made"`
	Site     string            `json:"site"`
	User     exportedUser      `json:"user"`
	Groups   []exportedGroup   `json:"groups"`
	Factors  []exportedFactor  `json:"factors"`
	Sessions []exportedSession `json:"sessions"`
	Consents []exportedConsent `json:"consents"`
	Activity []audit.Event     `json:"activity"`
	// More is what other rooms hold, such as what was granted to apps.
	More map[string]any `json:"more,omitempty"`
}

type exportedUser struct {
	ID      string         `json:"id"`
	Created time.Time      `json:"created"`
	Updated time.Time      `json:"updated"`
	Record  directory.User `json:"record"`
}

type exportedGroup struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

type exportedFactor struct {
	ID       string    `json:"id"`
	Type     string    `json:"type"`
	Provider string    `json:"provider"`
	Status   string    `json:"status"`
	Question string    `json:"question,omitempty"`
	Created  time.Time `json:"created"`
}

type exportedSession struct {
	ID       string    `json:"id"`
	Created  time.Time `json:"created"`
	Seen     time.Time `json:"seen"`
	SignedIn time.Time `json:"signed_in"`
	Methods  []string  `json:"methods"`
	Address  string    `json:"address"`
	Browser  string    `json:"browser"`
	Apps     []string  `json:"apps"`
}

type exportedConsent struct {
	ID      string             `json:"id"`
	Created time.Time          `json:"created"`
	Consent access.UserConsent `json:"consent"`
}

// exportPage is what the page shows.
type exportPage struct{ Token string }

// serveExport gives the document to who has just proved who they are.
func (s *Server) serveExport(w http.ResponseWriter, r *http.Request, m *member) {
	if !s.fresh(w, r, m, ExportPath) {
		return
	}
	lang := s.language(r)
	if r.Method != http.MethodPost {
		s.pages.export.Write(r.Context(), w, http.StatusOK, s.titled(r, lang, "export_title"), exportPage{Token: m.token})
		return
	}
	site, _ := s.cfg.Site(r)
	doc, err := s.export(r.Context(), site, m)
	var raw []byte
	if err == nil {
		raw, err = json.MarshalIndent(doc, "", "  ")
	}
	if err != nil {
		s.lost(w, r, err)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Disposition", `attachment; filename="account.json"`)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(raw) // the caller has gone, there is nobody to tell
}

func (s *Server) export(ctx context.Context, site Site, m *member) (doc exported, err error) {
	record := m.user.Value
	record.Password = ""
	if record.Question != nil {
		record.Question = &directory.Question{Text: record.Question.Text}
	}
	doc = exported{Made: s.cfg.Now().UTC(), Site: site.name(), User: exportedUser{ID: m.user.ID, Created: m.user.Created, Updated: m.user.Updated, Record: record}}
	groups, err := s.cfg.People.GroupsOf(ctx, m.user.ID)
	if err != nil {
		return doc, err
	}
	for _, g := range groups {
		doc.Groups = append(doc.Groups, exportedGroup{ID: g.ID, Name: g.Name})
	}
	factors, err := s.cfg.Factors.ListFactors(ctx, m.user.ID)
	if err != nil {
		return doc, err
	}
	for _, f := range factors {
		doc.Factors = append(doc.Factors, exportedFactor{f.ID, f.Value.Type, f.Value.Provider, f.Value.Status, f.Value.Question, f.Created})
	}
	sessions, err := s.cfg.Sessions.List(ctx, m.user.ID)
	if err != nil {
		return doc, err
	}
	for i := range sessions {
		doc.Sessions = append(doc.Sessions, exportedOf(&sessions[i]))
	}
	consents, err := s.cfg.Consents.ListConsents(ctx, m.user.ID, "")
	if err != nil {
		return doc, err
	}
	for _, c := range consents {
		doc.Consents = append(doc.Consents, exportedConsent{c.ID, c.Created, c.Value})
	}
	if doc.Activity, err = s.history(ctx, audit.Query{Tenant: site.Tenant, Actor: m.user.ID}, eventsExported); err != nil {
		return doc, err
	}
	if s.cfg.Held != nil {
		doc.More, err = s.cfg.Held(ctx, m.user.ID)
	}
	return doc, err
}

func exportedOf(s *session.Session) exportedSession {
	apps := make([]string, len(s.Apps))
	for i := range s.Apps {
		apps[i] = s.Apps[i].App
	}
	return exportedSession{
		ID: s.ID, Created: s.Created, Seen: s.Seen, SignedIn: s.AuthTime, Methods: s.AMR, Address: s.Address, Browser: s.Agent, Apps: apps,
	}
}
