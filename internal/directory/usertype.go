package directory

import (
	"context"
	"strings"

	"gatehouse/internal/fault"
	"gatehouse/internal/ledger"
)

// DefaultUserType is the name of the type that every user has who has no other.
const DefaultUserType = "user"

// UserType is a kind of people, with a profile schema of its own.
type UserType struct {
	Name        string `json:"name"` // unique
	DisplayName string `json:"displayName"`
	Description string `json:"description,omitempty"`
	Default     bool   `json:"default,omitempty"`
	CreatedBy   string `json:"createdBy"`
	UpdatedBy   string `json:"updatedBy"`
}

// UserTypes are unique by name.
var UserTypes = ledger.NewKind(ledger.Spec[UserType]{
	Name: "user_type", IDPrefix: "oty",
	Keys: func(t UserType) []ledger.Key { return []ledger.Key{ledger.By("name", t.Name)} },
	Check: func(t UserType) error {
		var fields []fault.Field
		if !attributeName.MatchString(t.Name) {
			fields = append(fields, fault.Field{Path: "name", Message: "must be letters, digits and _, and begin with a letter"})
		}
		if strings.TrimSpace(t.DisplayName) == "" || len(t.DisplayName) > 255 || strings.ContainsFunc(t.DisplayName, control) {
			fields = append(fields, fault.Field{Path: "displayName", Message: "must be 1 to 255 bytes without control characters"})
		}
		if len(t.Description) > 1024 {
			fields = append(fields, fault.Field{Path: "description", Message: "is longer than 1024 bytes"})
		}
		if len(fields) > 0 {
			return fault.New(fault.Invalid, "the user type is not valid").WithFields(fields...)
		}
		return nil
	},
})

// defaultTypeKey is the declared key of the default type: its id is known before it
// is made.
func defaultTypeKey() ledger.Key { return ledger.By("name", "default") }

// DefaultTypeID returns the id of the type that users without another have.
func DefaultTypeID(tx *ledger.Tx) string { return UserTypes.DeclaredID(tx, defaultTypeKey()) }

// typeID returns the id of the user's type.
func (u *User) typeID(tx *ledger.Tx) string {
	if u.Type != "" {
		return u.Type
	}
	return DefaultTypeID(tx)
}

// ensureUserType makes the default type, where it is missing.
func ensureUserType(tx *ledger.Tx) error {
	id := DefaultTypeID(tx)
	_, err := UserTypes.Get(tx, id)
	if !fault.Is(err, fault.NotFound) {
		return err
	}
	nobody := ledger.DeclaredID(tx.Tenant(), "user", "00u", ledger.By("name", "system")) // ids as others have
	system := ledger.DeclaredID(tx.Tenant(), "system_principal", "spr", ledger.By("name", "system"))
	_, err = UserTypes.Insert(tx, ledger.Object[UserType]{Meta: ledger.Meta{ID: id}, Value: UserType{
		Name: DefaultUserType, DisplayName: "User", Description: "Okta user profile template with default permission settings", Default: true,
		CreatedBy: system, UpdatedBy: nobody,
	}})
	return err
}

// ListUserTypes returns the user types, the default one first.
func (s *Service) ListUserTypes(ctx context.Context) (out []ledger.Object[UserType], err error) {
	err = s.cfg.Ledger.View(ctx, func(tx *ledger.Tx) error {
		out = nil
		for o, err := range UserTypes.All(tx, ledger.Query{}) {
			switch {
			case err != nil:
				return err
			case o.Value.Default:
				out = append([]ledger.Object[UserType]{o}, out...)
			default:
				out = append(out, o)
			}
		}
		return nil
	})
	return out, err
}

// UserType returns a user type by id, or the default one for "default" and "".
func (s *Service) UserType(ctx context.Context, id string) (o ledger.Object[UserType], err error) {
	err = s.cfg.Ledger.View(ctx, func(tx *ledger.Tx) error {
		o, err = userType(tx, id)
		return err
	})
	return o, err
}

func userType(tx *ledger.Tx, id string) (ledger.Object[UserType], error) {
	if id == "" || id == "default" {
		id = DefaultTypeID(tx)
	}
	return UserTypes.Get(tx, id)
}

// CreateUserType adds a user type. fault.Conflict when the name is taken.
func (s *Service) CreateUserType(ctx context.Context, actor ledger.Actor, t UserType) (o ledger.Object[UserType], err error) {
	defer fault.Wrap(&err, "make user type %q", t.Name)
	_, err = s.cfg.Ledger.Update(ctx, actor, "make user type "+t.Name, func(tx *ledger.Tx) error {
		t := t
		t.Default, t.CreatedBy, t.UpdatedBy = false, actor.ID, actor.ID
		o, err = UserTypes.Create(tx, t)
		return err
	})
	return o, err
}

// ChangeUserType changes how a user type is shown. Its name stays.
func (s *Service) ChangeUserType(ctx context.Context, actor ledger.Actor, id string, change func(*UserType) error) (o ledger.Object[UserType], err error) {
	defer fault.Wrap(&err, "change user type %q", id)
	_, err = s.cfg.Ledger.Update(ctx, actor, "change user type "+id, func(tx *ledger.Tx) error {
		if o, err = userType(tx, id); err != nil {
			return err
		}
		was := o.Value
		if err := change(&o.Value); err != nil {
			return err
		}
		if o.Value.Name != was.Name {
			return fault.New(fault.Invalid, "the user type is not valid").WithFields(fault.Field{Path: "name", Message: "cannot be changed"})
		}
		o.Value.Default, o.Value.CreatedBy, o.Value.UpdatedBy = was.Default, was.CreatedBy, actor.ID
		o, err = UserTypes.Put(tx, o)
		return err
	})
	return o, err
}

// DeleteUserType removes a user type that nobody has. fault.Conflict when somebody
// has it.
func (s *Service) DeleteUserType(ctx context.Context, actor ledger.Actor, id string) (err error) {
	defer fault.Wrap(&err, "delete user type %q", id)
	_, err = s.cfg.Ledger.Update(ctx, actor, "delete user type "+id, func(tx *ledger.Tx) error {
		o, err := userType(tx, id)
		if err != nil {
			return err
		}
		if o.Value.Default {
			return fault.New(fault.Denied, "the default user type stays").WithReason(ReasonBuiltIn)
		}
		return UserTypes.Delete(tx, o.ID, 0)
	})
	return err
}
