package directory

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"gatehouse/internal/fault"
	"gatehouse/internal/ledger"
)

// SchemaAttribute describes an attribute that profiles may have beyond those of the
// base schema (Okta's Universal Directory).
type SchemaAttribute struct {
	Title       string          `json:"title"`
	Description string          `json:"description,omitempty"`
	Type        string          `json:"type"` // string, boolean, number, integer or array
	Items       *SchemaItems    `json:"items,omitempty"`
	Required    bool            `json:"required,omitempty"`
	Unique      string          `json:"unique,omitempty"`
	Format      string          `json:"format,omitempty"`
	Pattern     string          `json:"pattern,omitempty"`
	MinLength   *int            `json:"minLength,omitempty"`
	MaxLength   *int            `json:"maxLength,omitempty"`
	Enum        []any           `json:"enum,omitempty"`
	OneOf       []SchemaChoice  `json:"oneOf,omitempty"`
	Scope       string          `json:"scope,omitempty"`      // SELF or NONE
	Mutability  string          `json:"mutability,omitempty"` // READ_WRITE, READ_ONLY, IMMUTABLE
	Permissions []SchemaAllowed `json:"permissions,omitempty"`
	Master      json.RawMessage `json:"master,omitempty"` // who sets the attribute, as it was sent
	Union       string          `json:"union,omitempty"`  // of lists that come from several groups
	External    string          `json:"externalName,omitempty"`
	Namespace   string          `json:"externalNamespace,omitempty"`
}

// SchemaItems describes the elements of an array.
type SchemaItems struct {
	Type  string         `json:"type"`
	Enum  []any          `json:"enum,omitempty"`
	OneOf []SchemaChoice `json:"oneOf,omitempty"`
}

// SchemaChoice is a value of an enumeration with its name for people.
type SchemaChoice struct {
	Const any    `json:"const"`
	Title string `json:"title"`
}

// SchemaAllowed says what the user may do with an attribute of theirs.
type SchemaAllowed struct {
	Principal string `json:"principal"`
	Action    string `json:"action"` // READ_WRITE, READ_ONLY or HIDE
}

// Schema is the profile schema of a user type, of an app's users, or of groups: what
// is added to the base schema, and what is changed of it.
type Schema struct {
	Of     string                     `json:"of"`     // what it is of: "user_type", "app" or "group"
	ID     string                     `json:"target"` // id of that; empty for groups
	Custom map[string]SchemaAttribute `json:"custom,omitempty"`
	Base   map[string]SchemaAttribute `json:"base,omitempty"` // attributes of the base schema as they were changed
}

// What a schema can be of.
const (
	SchemaOfType  = "user_type"
	SchemaOfApp   = "app"
	SchemaOfGroup = "group"
)

// Schemas are unique by what they are of, and go with it.
var Schemas = ledger.NewKind(ledger.Spec[Schema]{
	Name: "profile_schema", IDPrefix: "osc",
	Keys: func(s Schema) []ledger.Key { return []ledger.Key{ledger.By("of", s.Of, s.ID)} },
	Refs: func(s Schema) []ledger.Ref {
		if s.Of == SchemaOfGroup {
			return nil
		}
		return []ledger.Ref{{Field: "target", Kind: s.Of, ID: s.ID, OnDelete: ledger.Cascade}}
	},
	Check: checkSchema,
})

const maxSchemaAttributes = 300

func checkSchema(s Schema) error {
	var fields []fault.Field
	wrong := func(bad bool, path, message string) {
		if bad {
			fields = append(fields, fault.Field{Path: path, Message: message})
		}
	}
	wrong(s.Of != SchemaOfType && s.Of != SchemaOfApp && s.Of != SchemaOfGroup, "of", "is nothing that has a schema")
	wrong(len(s.Custom) > maxSchemaAttributes, "definitions.custom", "has more than 300 attributes")
	for _, name := range slices.Sorted(maps.Keys(s.Custom)) {
		a, at := s.Custom[name], "definitions.custom.properties."+name
		_, base := BaseAttribute(name)
		base = base && s.Of == SchemaOfType || s.Of == SchemaOfGroup && slices.Contains(GroupBaseAttributes(), name)
		wrong(!attributeName.MatchString(name) || base, at, "is not a name of a custom attribute: letters, digits and _, and not one of the base schema")
		fields = append(fields, a.check(at)...)
	}
	if len(fields) > 0 {
		return fault.New(fault.Invalid, "the schema is not valid").WithFields(fields...)
	}
	return nil
}

// check returns what is wrong with an attribute.
func (a *SchemaAttribute) check(at string) (fields []fault.Field) {
	wrong := func(bad bool, path, message string) {
		if bad {
			fields = append(fields, fault.Field{Path: at + path, Message: message})
		}
	}
	kinds := []string{"string", "boolean", "number", "integer"}
	wrong(strings.TrimSpace(a.Title) == "" || len(a.Title) > 255, ".title", "must be 1 to 255 bytes")
	wrong(len(a.Description) > 1024, ".description", "is longer than 1024 bytes")
	wrong(a.Type != "array" && !slices.Contains(kinds, a.Type), ".type", "must be string, boolean, number, integer or array")
	wrong((a.Type == "array") != (a.Items != nil), ".items", "describes the elements of an array, and of nothing else")
	enum, kind := a.Enum, a.Type
	if a.Items != nil {
		wrong(!slices.Contains(kinds, a.Items.Type), ".items.type", "must be string, boolean, number or integer")
		enum, kind = a.Items.Enum, a.Items.Type
	}
	wrong(len(enum) > 200, ".enum", "has more than 200 values")
	for _, v := range enum {
		wrong(!fitsType(kind, v), ".enum", fmt.Sprintf("has the value %v, which is no %s", v, kind))
	}
	wrong(a.MinLength != nil && *a.MinLength < 0 || a.MaxLength != nil && (*a.MaxLength < 1 || *a.MaxLength > maxAttributeBytes), ".maxLength", "must be from 1 to 4096")
	wrong(a.MinLength != nil && a.MaxLength != nil && *a.MinLength > *a.MaxLength, ".minLength", "is more than maxLength")
	wrong(a.Scope != "" && a.Scope != "SELF" && a.Scope != "NONE", ".scope", "must be SELF or NONE")
	wrong(len(a.Master) > 1024 || len(a.Permissions) > 10 || len(a.External) > 255 || len(a.Namespace) > 255, "", "is too large")
	if a.Pattern != "" {
		_, err := regexp.Compile(a.Pattern)
		wrong(err != nil || len(a.Pattern) > 255, ".pattern", "is not a regular expression")
	}
	return fields
}

// Fits returns why a value may not be that of the attribute; empty when it may.
func (a *SchemaAttribute) Fits(v any) string {
	if a.Type != "array" {
		return a.fits(a.Type, a.Enum, v)
	}
	list, ok := v.([]any)
	if !ok {
		return "must be a list"
	}
	for _, e := range list {
		if why := a.fits(a.Items.Type, a.Items.Enum, e); why != "" {
			return why
		}
	}
	return ""
}

func (a *SchemaAttribute) fits(kind string, enum []any, v any) string {
	if !fitsType(kind, v) {
		return "must be of type " + kind
	}
	if len(enum) > 0 && !slices.ContainsFunc(enum, func(e any) bool { return same(e, v) }) {
		return "is not one of the values that the schema has"
	}
	text, isText := v.(string)
	switch n := utf8.RuneCountInString(text); {
	case !isText:
	case a.MinLength != nil && n < *a.MinLength:
		return fmt.Sprintf("must have at least %d characters", *a.MinLength)
	case a.MaxLength != nil && n > *a.MaxLength:
		return fmt.Sprintf("must have at most %d characters", *a.MaxLength)
	case a.Pattern != "":
		if ok, err := regexp.MatchString(a.Pattern, text); err != nil || !ok {
			return "does not match " + a.Pattern
		}
	}
	return ""
}

func fitsType(kind string, v any) bool {
	switch kind {
	case "string":
		_, ok := v.(string)
		return ok
	case "boolean":
		_, ok := v.(bool)
		return ok
	case "number", "integer":
		n, ok := toNumber(v)
		return ok && (kind == "number" || n == float64(int64(n)))
	}
	return false
}

func toNumber(v any) (float64, bool) {
	switch v := v.(type) {
	case float64:
		return v, true
	case json.Number:
		n, err := v.Float64()
		return n, err == nil
	case int:
		return float64(v), true
	}
	return 0, false
}

func same(a, b any) bool {
	x, ok1 := toNumber(a)
	y, ok2 := toNumber(b)
	if ok1 && ok2 {
		return x == y
	}
	return a == b
}

// checkProfile refuses a profile with an attribute that the schema of the user's type
// does not have, or with a value that it does not allow.
func checkProfile(tx *ledger.Tx, u User) error {
	var custom map[string]SchemaAttribute
	s, err := Schemas.Find(tx, ledger.By("of", SchemaOfType, u.typeID(tx)))
	if err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	if err == nil {
		custom = s.Value.Custom
	}
	base := func(name string) bool { _, is := BaseAttribute(name); return is }
	if fields := fitSchema(u.Profile.Attributes, custom, base, "the user type's schema"); len(fields) > 0 {
		return fault.New(fault.Invalid, "the user is not valid").WithFields(fields...)
	}
	return nil
}

// fitSchema returns what is wrong with the attributes of a profile by a schema's own;
// those of its base are looked at elsewhere.
func fitSchema(profile map[string]any, custom map[string]SchemaAttribute, base func(name string) bool, schema string) (fields []fault.Field) {
	for _, name := range slices.Sorted(maps.Keys(profile)) {
		if base(name) {
			continue
		}
		a, known := custom[name]
		if !known {
			fields = append(fields, fault.Field{Path: "profile." + name, Message: "is not an attribute of " + schema})
			continue
		}
		if why := a.Fits(profile[name]); why != "" {
			fields = append(fields, fault.Field{Path: "profile." + name, Message: why})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(custom)) {
		if _, set := profile[name]; custom[name].Required && !set {
			fields = append(fields, fault.Field{Path: "profile." + name, Message: "is required by " + schema})
		}
	}
	return fields
}

// Schema returns the schema of a user type or an app; an empty one when nothing was
// changed yet.
func (s *Service) Schema(ctx context.Context, of, id string) (o ledger.Object[Schema], err error) {
	err = s.cfg.Ledger.View(ctx, func(tx *ledger.Tx) error {
		o, err = schemaOf(tx, of, id)
		return err
	})
	return o, err
}

func schemaOf(tx *ledger.Tx, of, id string) (ledger.Object[Schema], error) {
	if of != SchemaOfGroup {
		if _, err := tx.Get(of, id); err != nil {
			return ledger.Object[Schema]{}, err
		}
	}
	o, err := Schemas.Find(tx, ledger.By("of", of, id))
	if fault.Is(err, fault.NotFound) {
		return ledger.Object[Schema]{Value: Schema{Of: of, ID: id}}, nil
	}
	return o, err
}

// ChangeSchema changes attributes of a schema: nil takes a custom one away, with what
// it is in profiles, and makes one of the base schema what it was.
func (s *Service) ChangeSchema(ctx context.Context, actor ledger.Actor, of, id string, custom, base map[string]*SchemaAttribute) (o ledger.Object[Schema], err error) {
	defer fault.Wrap(&err, "change the schema of %s %q", of, id)
	_, err = s.cfg.Ledger.Update(ctx, actor, "change the schema of "+of+" "+id, func(tx *ledger.Tx) error {
		if o, err = schemaOf(tx, of, id); err != nil {
			return err
		}
		o.Value.Custom, o.Value.Base = maps.Clone(o.Value.Custom), maps.Clone(o.Value.Base)
		change(&o.Value.Custom, custom)
		change(&o.Value.Base, base)
		if o.ID == "" {
			o, err = Schemas.Insert(tx, o)
		} else {
			o, err = Schemas.Put(tx, o)
		}
		switch {
		case err != nil:
			return err
		case of == SchemaOfType:
			return dropAttributes(tx, id, custom)
		case of == SchemaOfGroup:
			return dropGroupAttributes(tx, custom)
		}
		return nil
	})
	return o, err
}

// removed returns the attributes that a change takes away.
func removed(custom map[string]*SchemaAttribute) (gone []string) {
	for name, a := range custom {
		if a == nil {
			gone = append(gone, name)
		}
	}
	return gone
}

// dropAttributes takes the attributes that are gone out of the profiles of a type's users.
func dropAttributes(tx *ledger.Tx, userType string, custom map[string]*SchemaAttribute) error {
	gone := removed(custom)
	if len(gone) == 0 {
		return nil
	}
	for o, err := range Users.All(tx, ledger.Query{Limit: 1000}) {
		if err != nil {
			return err
		}
		has := func(name string) bool { _, ok := o.Value.Profile.Attributes[name]; return ok }
		if o.Value.typeID(tx) != userType || !slices.ContainsFunc(gone, has) {
			continue
		}
		for _, name := range gone {
			delete(o.Value.Profile.Attributes, name)
		}
		if _, err := Users.Put(tx, o); err != nil {
			return err
		}
	}
	return nil
}

func change(all *map[string]SchemaAttribute, with map[string]*SchemaAttribute) {
	for name, a := range with {
		if a == nil {
			delete(*all, name)
			continue
		}
		if *all == nil {
			*all = map[string]SchemaAttribute{}
		}
		(*all)[name] = *a
	}
}
