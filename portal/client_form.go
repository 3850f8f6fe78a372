package portal

import (
	"cmp"
	"encoding/json"
	"fmt"
	"html/template"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"peerage/idp"
	"peerage/store"
)

// clientControl binds one field of a client's JSON to a control of the form.
type clientControl struct {
	label, hint Sentence
	kind        FieldKind
	options     []Option
	mono        bool
	rows, max   int
	// read writes the field as the control shows it, write takes over what
	// was typed; an error stands beside the control.
	read  func(store.Client) string
	write func(*store.Client, string) error
}

// clientSection is a part of the form: names of controls.
type clientSection struct {
	title Sentence
	names []string
}

// clientSections is the order of the form; each field of a client that can be
// typed stands in one of them.
func clientSections() []clientSection {
	return []clientSection{
		{Say("client.part.shown"), []string{"name", "description", "launch_uri", "logo_uri"}},
		{Say("client.part.addresses"), []string{"redirect_uris", "post_logout_redirect_uris", "backchannel_logout_uri"}},
		{Say("client.part.access"), []string{"allowed_groups", "require_mfa", "trusted"}},
		{Say("client.part.learns"), []string{"scopes", "claims", "group_filter", "group_prefix", "roles"}},
		{Say("client.part.proof"), []string{"application_type", "token_endpoint_auth_method", "require_pkce", "require_pushed_authorization_requests", "jwks_uri", "jwks"}},
		{Say("client.part.tokens"), []string{"grant_types", "response_types", "id_token_signed_response_alg", "userinfo_signed_response_alg", "access_token_format", "audience", "access_token_ttl", "id_token_ttl", "refresh_token_ttl"}},
	}
}

// clientControls are all controls by the name of their field.
var clientControls = mergedControls(shownControls(), addressControls(), accessControls(), claimControls(), proofControls(), tokenControls())

func mergedControls(parts ...map[string]clientControl) map[string]clientControl {
	all := map[string]clientControl{}
	for _, part := range parts {
		maps.Copy(all, part)
	}
	return all
}

// oneLine is a control of a text.
func oneLine(label, hint Sentence, field func(*store.Client) *string) clientControl {
	return clientControl{label: label, hint: hint, max: 2048,
		read:  func(c store.Client) string { return *field(&c) },
		write: func(c *store.Client, value string) error { *field(c) = strings.TrimSpace(value); return nil }}
}

// inMono sets a control in the type of machines.
func (c clientControl) inMono() clientControl { c.mono = true; return c }

// lines is a control of a list, one value a line.
func lines(label, hint Sentence, field func(*store.Client) *[]string) clientControl {
	return clientControl{label: label, hint: hint, kind: FieldArea, mono: true, rows: 3,
		read:  func(c store.Client) string { return strings.Join(*field(&c), "\n") },
		write: func(c *store.Client, value string) error { *field(c) = typedLines(value); return nil }}
}

// typedLines are the lines that hold something.
func typedLines(value string) []string {
	var list []string
	for line := range strings.Lines(value) {
		if line = strings.TrimSpace(line); line != "" {
			list = append(list, line)
		}
	}
	return list
}

// choice is a control of a few values. The first is the default: a client that
// leaves the field out has it, and keeps leaving it out.
func choice(label, hint Sentence, field func(*store.Client) *string, options ...Option) clientControl {
	usual := options[0].Value
	return clientControl{label: label, hint: hint, kind: FieldSelect, options: options,
		read: func(c store.Client) string { return cmp.Or(*field(&c), usual) },
		write: func(c *store.Client, value string) error {
			if value != usual || *field(c) != "" {
				*field(c) = value
			}
			return nil
		}}
}

// onOff is a switch.
func onOff(label, hint Sentence, read func(store.Client) bool, write func(*store.Client, bool)) clientControl {
	return clientControl{label: label, hint: hint, kind: FieldCheckbox,
		read: func(c store.Client) string {
			if read(c) {
				return "yes"
			}
			return "no"
		},
		write: func(c *store.Client, value string) error {
			on, err := typedBool(value)
			if err == nil {
				write(c, on)
			}
			return err
		}}
}

func typedBool(value string) (bool, error) {
	switch strings.ToLower(value) {
	case "yes", "on", "true", "1":
		return true, nil
	case "no", "off", "false", "0", "":
		return false, nil
	}
	return false, fmt.Errorf("must be yes or no")
}

// ttl is a control of a duration.
func ttl(label, hint Sentence, field func(*store.Client) *store.Duration) clientControl {
	return clientControl{label: label, hint: hint, mono: true, max: 32,
		read: func(c store.Client) string {
			if d := *field(&c); d != 0 {
				return shortDuration(time.Duration(d))
			}
			return ""
		},
		write: func(c *store.Client, value string) error {
			if value = strings.TrimSpace(value); value == "" {
				*field(c) = 0
				return nil
			}
			return field(c).UnmarshalText([]byte(value))
		}}
}

// shortDuration drops the zeros that Go writes: 15m0s is 15m.
func shortDuration(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// readClient takes over what was typed; a field that the form does not name
// stays as it is. The faults are by field.
func readClient(form url.Values, old store.Client) (store.Client, map[string][]string) {
	client, faults := old, map[string][]string{}
	for name, control := range clientControls {
		typed, ok := form[name]
		if !ok {
			continue
		}
		value := typed[len(typed)-1] // a checkbox comes after its "no"
		if !utf8.ValidString(value) {
			faults[name] = []string{"must be UTF-8 text"}
			continue
		}
		if err := control.write(&client, strings.ReplaceAll(value, "\r\n", "\n")); err != nil {
			faults[name] = []string{err.Error()}
		}
	}
	return client, faults
}

// clientValues is a client as the form shows it.
func clientValues(c store.Client) url.Values {
	values := url.Values{}
	for name, control := range clientControls {
		values.Set(name, control.read(c))
	}
	return values
}

// clientForm makes the sections of the form with these values and faults, and
// the "no" of each switch, which a browser sends before the switch's "yes".
func clientForm(values url.Values, faults map[string][]string, readOnly bool) (sections []FieldSection, hidden []Hidden) {
	for _, part := range clientSections() {
		section := FieldSection{Title: part.title}
		for _, name := range part.names {
			control := clientControls[name]
			typed := values[name]
			value := ""
			if len(typed) > 0 {
				value = typed[len(typed)-1]
			}
			f := Field{Name: name, Kind: control.kind, Label: control.label, Hint: control.hint, Value: value, Options: control.options,
				Mono: control.mono, Rows: control.rows, Max: control.max, ReadOnly: readOnly, Fault: faultSentence(faults[name])}
			if control.kind == FieldCheckbox {
				on, err := typedBool(value)
				f.Value, f.On = "yes", on && err == nil
				hidden = append(hidden, Hidden{Name: name, Value: "no"})
			}
			section.Fields = append(section.Fields, f)
		}
		sections = append(sections, section)
	}
	return sections, hidden
}

// faultSentence says the faults of one field.
func faultSentence(problems []string) Sentence {
	if len(problems) == 0 {
		return Sentence{}
	}
	text := clipLong(strings.Join(problems, "; "))
	if first, size := utf8.DecodeRuneInString(text); unicode.IsLower(first) {
		text = string(unicode.ToUpper(first)) + text[size:]
	}
	return Say("client.fault", "problem", template.HTML(template.HTMLEscapeString(text))) // #nosec G203 -- escaped
}

// sectionFaults are the faulty fields of all sections.
func sectionFaults(sections []FieldSection, more ...Field) []Field {
	all := slices.Clone(more)
	for _, s := range sections {
		all = append(all, s.Fields...)
	}
	return faulty(all...)
}

// pairs writes a map as lines NAME=VALUE.
func pairs(m map[string]string) string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(m)) {
		list = append(list, name+"="+m[name])
	}
	return strings.Join(list, "\n")
}

// typedPairs reads lines NAME=VALUE, or a JSON object.
func typedPairs(value string) (map[string]string, error) {
	value = strings.TrimSpace(value)
	if value == "" {
		return nil, nil
	}
	m := map[string]string{}
	if strings.HasPrefix(value, "{") {
		if err := json.Unmarshal([]byte(value), &m); err != nil {
			return nil, fmt.Errorf("must be one NAME=PLACE a line")
		}
		return m, nil
	}
	for _, line := range typedLines(value) {
		name, place, ok := strings.Cut(line, "=")
		if name, place = strings.TrimSpace(name), strings.TrimSpace(place); !ok || name == "" {
			return nil, fmt.Errorf("%q is not of the form NAME=PLACE", line)
		} else if _, twice := m[name]; twice {
			return nil, fmt.Errorf("%q stands twice", name)
		}
		m[name] = place
	}
	return m, nil
}

// roleLines writes roles as lines ROLE=GROUP, GROUP.
func roleLines(roles []store.Role) string {
	var list []string
	for _, r := range roles {
		list = append(list, r.Role+"="+strings.Join(r.Groups, ", "))
	}
	return strings.Join(list, "\n")
}

// typedRoles reads lines ROLE=GROUP, GROUP, or a JSON list.
func typedRoles(value string) (roles []store.Role, err error) {
	value = strings.TrimSpace(value)
	if strings.HasPrefix(value, "[") {
		if err := json.Unmarshal([]byte(value), &roles); err != nil {
			return nil, fmt.Errorf("must be one ROLE=GROUP, GROUP a line")
		}
		return roles, nil
	}
	for _, line := range typedLines(value) {
		name, groups, ok := strings.Cut(line, "=")
		if !ok {
			return nil, fmt.Errorf("%q is not of the form ROLE=GROUP, GROUP", line)
		}
		role := store.Role{Role: strings.TrimSpace(name)}
		for group := range strings.SplitSeq(groups, ",") {
			if group = strings.TrimSpace(group); group != "" {
				role.Groups = append(role.Groups, group)
			}
		}
		roles = append(roles, role)
	}
	return roles, nil
}

// kindOfClient says what kind of client it is.
func kindOfClient(c store.Client) Sentence {
	switch {
	case cmp.Or(c.ApplicationType, "web") == "native":
		return Say("clients.kind.native")
	case c.TokenEndpointAuthMethod == "none":
		return Say("clients.kind.public")
	case !idp.NeedsSecret(c.TokenEndpointAuthMethod):
		return Say("clients.kind.key")
	}
	return Say("clients.kind.secret")
}
