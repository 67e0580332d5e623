package directory

import (
	"slices"
	"testing"

	"gatehouse/internal/fault"
)

// declare changes the schema of the default user type.
func (r *room) declare(t *testing.T, custom map[string]*SchemaAttribute) {
	t.Helper()
	o, err := r.service.UserType(r.ctx, "default")
	must(t, err)
	_, err = r.service.ChangeSchema(r.ctx, r.admin, SchemaOfType, o.ID, custom, nil)
	must(t, err)
}

func TestSchemaBounds(t *testing.T) {
	least, most := 2, 4
	tests := []struct {
		attribute SchemaAttribute
		fits, not []any
	}{
		{SchemaAttribute{Type: "string", MinLength: &least, MaxLength: &most}, []any{"ab", "äöüß"}, []any{"a", "abcde", 1.0, nil}},
		{SchemaAttribute{Type: "string", Pattern: "^[0-9]+$"}, []any{"12"}, []any{"x"}},
		{SchemaAttribute{Type: "integer"}, []any{1.0, -3.0}, []any{1.5, "1", true}},
		{SchemaAttribute{Type: "number", Enum: []any{0.01, 2.0}}, []any{0.01, 2.0}, []any{0.02}},
		{SchemaAttribute{Type: "boolean"}, []any{true}, []any{"true"}},
		{SchemaAttribute{Type: "array", Items: &SchemaItems{Type: "string", Enum: []any{"a", "b"}}}, []any{[]any{"a", "b"}, []any{}}, []any{[]any{"c"}, "a"}},
	}
	for i, tt := range tests {
		for _, v := range tt.fits {
			if why := tt.attribute.Fits(v); why != "" {
				t.Errorf("%d: %v: %s", i, v, why)
			}
		}
		for _, v := range tt.not {
			if tt.attribute.Fits(v) == "" {
				t.Errorf("%d: %v fits", i, v)
			}
		}
	}
}

func TestSchemaOfAType(t *testing.T) {
	r := newRoom(t)
	must(t, r.service.EnsureTenant(r.ctx, r.admin))
	contractor, err := r.service.CreateUserType(r.ctx, r.admin, UserType{Name: "contractor", DisplayName: "Contractor"})
	must(t, err)
	_, err = r.service.ChangeSchema(r.ctx, r.admin, SchemaOfType, contractor.ID, map[string]*SchemaAttribute{"agency": {Title: "Agency", Type: "string", Required: true}}, nil)
	must(t, err)
	profile := func(login string, attributes map[string]any) Profile {
		return Profile{Login: login + "@example.com", Email: login + "@example.com", Attributes: attributes}
	}
	if _, err := r.service.CreateUser(r.ctx, r.admin, NewUser{Type: contractor.ID, Profile: profile("cleo", nil)}); !fault.Is(err, fault.Invalid) {
		t.Errorf("without a required attribute: %v", err)
	}
	if _, err := r.service.CreateUser(r.ctx, r.admin, NewUser{Profile: profile("dan", map[string]any{"agency": "x"})}); !fault.Is(err, fault.Invalid) {
		t.Errorf("an attribute of another type: %v", err)
	}
	cleo, err := r.service.CreateUser(r.ctx, r.admin, NewUser{Type: contractor.ID, Profile: profile("cleo", map[string]any{"agency": "x"})})
	must(t, err)
	if err := r.service.DeleteUserType(r.ctx, r.admin, contractor.ID); !fault.Is(err, fault.Conflict) {
		t.Errorf("a type that somebody has: %v", err)
	}
	// An attribute that is taken away is taken from everybody.
	_, err = r.service.ChangeSchema(r.ctx, r.admin, SchemaOfType, contractor.ID, map[string]*SchemaAttribute{"agency": nil}, nil)
	must(t, err)
	cleo, err = r.service.User(r.ctx, cleo.ID)
	must(t, err)
	if len(cleo.Value.Profile.Attributes) != 0 {
		t.Errorf("still there: %v", cleo.Value.Profile.Attributes)
	}
	types, err := r.service.ListUserTypes(r.ctx)
	must(t, err)
	if len(types) != 2 || !types[0].Value.Default {
		t.Errorf("types %v", types)
	}
	if err := r.service.DeleteUserType(r.ctx, r.admin, types[0].ID); !fault.Is(err, fault.Denied) {
		t.Errorf("the default type: %v", err)
	}
}

func TestSchemaChecks(t *testing.T) {
	r := newRoom(t)
	must(t, r.service.EnsureTenant(r.ctx, r.admin))
	o, err := r.service.UserType(r.ctx, "")
	must(t, err)
	bad := []map[string]*SchemaAttribute{
		{"login": {Title: "x", Type: "string"}},
		{"a b": {Title: "x", Type: "string"}},
		{"x": {Title: "", Type: "string"}},
		{"x": {Title: "x", Type: "object"}},
		{"x": {Title: "x", Type: "array"}},
		{"x": {Title: "x", Type: "string", Items: &SchemaItems{Type: "string"}}},
		{"x": {Title: "x", Type: "integer", Enum: []any{"one"}}},
		{"x": {Title: "x", Type: "string", Pattern: "("}},
		{"x": {Title: "x", Type: "string", Scope: "ALL"}},
	}
	for i, custom := range bad {
		if _, err := r.service.ChangeSchema(r.ctx, r.admin, SchemaOfType, o.ID, custom, nil); !fault.Is(err, fault.Invalid) {
			t.Errorf("%d: %v", i, err)
		}
	}
	names := make([]string, 0, len(baseSchema))
	for _, a := range BaseSchema() {
		names = append(names, a.Name)
	}
	slices.Sort(names)
	if len(names) != 31 || len(slices.Compact(names)) != 31 {
		t.Errorf("%d attributes in the base schema", len(names))
	}
}
