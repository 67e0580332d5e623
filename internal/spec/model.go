package spec

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"gatehouse/internal/order"
)

// Model is what AuthZEN clients may ask about: a policy set of its own, in which
// nothing is allowed that no policy permits. It has nothing to do with the APIs.
type Model struct {
	Name string `json:"name"`
	// Resources are the types of resources that the model decides about. No other
	// model has them.
	Resources []string `json:"resources"`
	// Entities are what the model knows of subjects and resources, by type and id.
	Entities []Entity `json:"entities,omitempty"`
	// Policies is Cedar text: permit and forbid.
	Policies string `json:"policies"`
}

// Entity is a subject or a resource that a model knows.
type Entity struct {
	Type       string               `json:"type"`
	ID         string               `json:"id"`
	Attributes map[string]Attribute `json:"attributes,omitempty"`
}

// Attribute is a value that a model knows: a string, an int64, a bool or a []string.
type Attribute struct{ Value any }

// MarshalJSON writes the value.
func (a Attribute) MarshalJSON() ([]byte, error) { return json.Marshal(a.Value) }

// UnmarshalJSON reads what MarshalJSON writes.
func (a *Attribute) UnmarshalJSON(b []byte) error {
	var texts []string
	if err := json.Unmarshal(b, &texts); err == nil && texts != nil {
		a.Value = texts
		return nil
	}
	if n, err := strconv.ParseInt(string(b), 10, 64); err == nil {
		a.Value = n
		return nil
	}
	var v any
	if err := json.Unmarshal(b, &v); err != nil {
		return err
	}
	switch v.(type) {
	case string, bool:
		a.Value = v
		return nil
	default:
		return errors.New("an attribute is a text, a whole number, true, false or a list of texts")
	}
}

// Bounds of a model.
const (
	mostEntities   = 10_000
	mostAttributes = 64
	mostMembers    = 256 // of a list
)

// PathModel returns the Sources path of a model or, with a field, of a setting of it.
func PathModel(name string, field ...string) string {
	return strings.Join(append([]string{"authzen." + name}, field...), ".")
}

// Check returns what is wrong with the model by itself.
func (m *Model) Check() []Finding {
	var f findings
	path := PathModel(m.Name)
	f.add(path, CheckName(m.Name))
	if len(m.Resources) == 0 {
		f.addf(path, "a model says which types of resources it decides about: resources: [todo]")
	}
	checkList(&f, path+".resources", m.Resources, CheckName)
	if strings.TrimSpace(m.Policies) == "" {
		f.addf(path, "a model without policies permits nothing: write policies")
	}
	if len(m.Entities) > mostEntities {
		f.addf(path+".entities", "a model has at most %d entities", mostEntities)
	}
	for i := range m.Entities {
		f.add(path+".entities", m.Entities[i].check())
	}
	return f.list
}

func (e *Entity) check() error {
	if err := CheckName(e.Type); err != nil {
		return err
	}
	if err := CheckText(e.ID, 1024); err != nil {
		return fmt.Errorf("the id of an entity %w", err)
	}
	if len(e.Attributes) > mostAttributes {
		return fmt.Errorf("an entity has at most %d attributes", mostAttributes)
	}
	for _, a := range e.Attributes {
		if list, ok := a.Value.([]string); ok && len(list) > mostMembers {
			return fmt.Errorf("an attribute has at most %d values", mostMembers)
		}
	}
	return nil
}

// checkModels checks the models, and that no two decide about one type.
func checkModels(f *findings, models []Model) {
	by := map[string]string{}
	for i := range models {
		m := &models[i]
		f.list = append(f.list, m.Check()...)
		for j, kind := range m.Resources {
			if other := by[kind]; other != "" && other != m.Name {
				f.addf(fmt.Sprintf("%s[%d]", PathModel(m.Name, "resources"), j), "the model %s decides about %s already", other, kind)
			}
			by[kind] = m.Name
		}
	}
}

// SortEntities puts entities in a fixed order.
func SortEntities(list []Entity) {
	order.By(list, func(a, b Entity) int {
		if c := strings.Compare(a.Type, b.Type); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
}
