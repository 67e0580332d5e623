package directory

import (
	"slices"

	"gatehouse/internal/fault"
	"gatehouse/internal/ledger"
)

// GroupBaseAttributes are the attributes that every group has; they are not changed.
func GroupBaseAttributes() []string { return []string{"name", "description"} }

// checkGroupProfile refuses a group with an attribute that the schema of groups does not
// have, or with a value that it does not allow.
func checkGroupProfile(tx *ledger.Tx, g Group) error {
	s, err := schemaOf(tx, SchemaOfGroup, "")
	if err != nil {
		return err
	}
	none := func(string) bool { return false }
	if fields := fitSchema(g.Attributes, s.Value.Custom, none, "the schema of groups"); len(fields) > 0 {
		return fault.New(fault.Invalid, "the group is not valid").WithFields(fields...)
	}
	return nil
}

// dropGroupAttributes takes the attributes that are gone out of the profiles of groups.
func dropGroupAttributes(tx *ledger.Tx, custom map[string]*SchemaAttribute) error {
	gone := removed(custom)
	if len(gone) == 0 {
		return nil
	}
	for o, err := range Groups.All(tx, ledger.Query{Limit: 1000}) {
		if err != nil {
			return err
		}
		has := func(name string) bool { _, ok := o.Value.Attributes[name]; return ok }
		if !slices.ContainsFunc(gone, has) {
			continue
		}
		for _, name := range gone {
			delete(o.Value.Attributes, name)
		}
		if _, err := Groups.Put(tx, o); err != nil {
			return err
		}
	}
	return nil
}
