package openbao

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// loginEnforcement says whose sign-ins need a second factor.
type loginEnforcement struct {
	Name      string   `json:"name"`
	Methods   []string `json:"mfa_method_ids"`
	Accessors []string `json:"auth_method_accessors"`
	Types     []string `json:"auth_method_types"`
	Groups    []string `json:"identity_group_ids"`
	Entities  []string `json:"identity_entity_ids"`
}

// listEnforcements lists them all, by one request.
var listEnforcements = request{operation: "list_enforcements", method: "LIST", path: at("identity/mfa/login-enforcement")}

// enforcements lists them with a token.
func (c *Client) enforcements(ctx context.Context, token string) ([]loginEnforcement, error) {
	r := listEnforcements
	r.token = token
	return enforcements(c.do(ctx, r))
}

// enforcements reads the list. That there are none is no error.
func enforcements(got answer, err error) ([]loginEnforcement, error) {
	var list struct {
		KeyInfo map[string]loginEnforcement `json:"key_info"`
	}
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	if err == nil {
		err = got.decode(&list)
	}
	var all []loginEnforcement
	for _, name := range slices.Sorted(maps.Keys(list.KeyInfo)) {
		e := list.KeyInfo[name]
		e.Name = name
		all = append(all, e)
	}
	return all, err
}

// asks tells whether it demands a code of that entity.
func (e loginEnforcement) asks(entityID string) bool { return slices.Contains(e.Entities, entityID) }

// ours tells an enforcement that peerage made: of one entity and one method, or
// one that it took back (RemoveTOTP).
func (e loginEnforcement) ours(method, accessor string) bool {
	if !strings.HasPrefix(e.Name, enforcementPrefix) || !slices.Equal(e.Methods, []string{method}) || len(e.Types)+len(e.Groups) > 0 {
		return false
	}
	if len(e.Entities) == 0 {
		return !slices.Contains(e.Accessors, accessor)
	}
	return len(e.Entities) == 1 && e.Name == enforcementPrefix+e.Entities[0] && len(e.Accessors) == 0
}

// collision says how an enforcement of somebody else could match a sign-in
// that ours matches too: the first would use the code up and the second refuse
// it, whichever code it is. "" when it cannot. method and accessor are empty
// while they do not exist.
func (e loginEnforcement) collision(method, accessor string) string {
	switch {
	case e.ours(method, accessor):
		return ""
	case method != "" && slices.Contains(e.Methods, method):
		return "uses the method of peerage"
	case accessor != "" && slices.Contains(e.Accessors, accessor), slices.Contains(e.Types, "userpass"):
		return "asks everybody who signs in with a password"
	case len(e.Groups) > 0 || len(e.Entities) > 0:
		return "asks entities or groups, who may be people of peerage"
	}
	return ""
}

// collisions is an error that names every enforcement that collides, and what
// to do.
func collisions(all []loginEnforcement, method, accessor string) error {
	var found []string
	for _, e := range all {
		if how := e.collision(method, accessor); how != "" {
			found = append(found, fmt.Sprintf("the login enforcement %q %s", e.Name, how))
		}
	}
	if len(found) == 0 {
		return nil
	}
	return fmt.Errorf("%s; where two enforcements match one sign-in no code is accepted and nobody comes in: bao delete identity/mfa/login-enforcement/NAME, or limit it to other auth mounts (auth_method_accessors) and another method",
		strings.Join(found, "; "))
}
