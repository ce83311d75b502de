package manifest

import "slices"

// Schema is an Arrow schema: the columns of a table in their order.
type Schema struct {
	Fields []Field `json:"fields,omitempty"`
}

// Field is a column, or a child of one.
type Field struct {
	Name     string  `json:"name"`
	Type     Type    `json:"type"`
	Nullable bool    `json:"nullable"`
	Children []Field `json:"children,omitempty"` // of a list the element; of a struct its fields; of a map key and value
}

// Field is the top-level field of this name.
func (s Schema) Field(name string) (Field, bool) {
	for _, f := range s.Fields {
		if f.Name == name {
			return f, true
		}
	}
	return Field{}, false
}

// Equal tells whether both have the same fields in the same order. What the children of lists and maps are called is
// each writer's choice and does not count.
func (s Schema) Equal(o Schema) bool { return equalFields(s.Fields, o.Fields, true) }

func equalFields(a, b []Field, named bool) bool {
	return slices.EqualFunc(a, b, func(f, g Field) bool {
		return (f.Name == g.Name || !named) && f.Type == g.Type && f.Nullable == g.Nullable &&
			equalFields(f.Children, g.Children, f.Type == Struct)
	})
}

// names are the top-level fields that have one: a schema under test may lack some.
func (s Schema) names() []string {
	var names []string
	for _, f := range s.Fields {
		if f.Name != "" {
			names = append(names, f.Name)
		}
	}
	return names
}

func parseSchema(n node) Schema {
	const what = "an object with the member fields"
	if _, ok := n.object(what); !ok {
		return Schema{}
	}
	fields, found := n.required("fields", "an array of at least one field")
	if !found {
		return Schema{}
	}
	return Schema{parseFields(fields)}
}

func parseFields(n node) []Field {
	const what = "an array of at least one field"
	items := n.list(what)
	if values, ok := n.value.([]any); ok && len(values) == 0 {
		n.fail("is empty; it must be %s", what)
	}
	fields := make([]Field, len(items))
	for i, item := range items {
		fields[i] = parseField(item)
		same := func(f Field) bool { return f.Name == fields[i].Name }
		if fields[i].Name != "" && slices.ContainsFunc(fields[:i], same) {
			item.fail("%q is there twice; a name is unique among its siblings", fields[i].Name)
		}
	}
	return fields
}

// parseField reads a field; it is nullable unless it says otherwise.
func parseField(n node) Field {
	f := Field{Nullable: true}
	if _, ok := n.object("an object with the members name and type"); !ok {
		return f
	}
	if name, found := n.required("name", "a string"); found {
		s, ok := name.text("a string")
		if ok && s == "" {
			name.fail("is empty; a column has a name")
		}
		f.Name = s
	}
	f.Nullable = n.flag("nullable", true)
	if t, found := n.required("type", "the name of a type"); found {
		f.Type = parseTypeField(t)
	}
	f.Children = parseChildren(n, f.Type)
	return f
}

func parseTypeField(n node) Type {
	s, ok := n.text("the name of a type")
	if !ok {
		return ""
	}
	t, err := ParseType(s)
	if err != nil {
		n.failSyntax(err)
	}
	return t
}

// parseChildren reads the children of a field of a known type. Of an unknown type nothing is known of its children.
func parseChildren(n node, t Type) []Field {
	children, found := n.member("children")
	switch {
	case t == "":
		return nil
	case !t.nested():
		if values, ok := children.value.([]any); found && (!ok || len(values) > 0) {
			children.fail("has no meaning for the type %s; only list, map and struct have children", t)
		}
		return nil
	case !found:
		children.fail("is missing; %s", t.childRule())
		return nil
	}
	fields := parseFields(children)
	if t == List && len(fields) > 1 || t == Map && len(fields) != 2 && len(fields) > 0 {
		children.fail("has %d fields; %s", len(fields), t.childRule())
	}
	return fields
}
