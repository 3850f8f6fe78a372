package baotest

import (
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/pquerna/otp/totp"
	"golang.org/x/crypto/bcrypt"
)

// bcryptCost is the least that OpenBao takes: a sign-in costs 3 ms, not 75.
const bcryptCost = 5

// Mount is where the people of a test are unless they say otherwise.
const Mount = "userpass"

// Person is somebody to make.
type Person struct {
	Name     string
	Password string // "" for DefaultPassword
	Mount    string // "" for Mount
	Metadata map[string]string
	Policies []string // of the tokens from a sign-in
	Groups   []string // made when they are missing
}

// DefaultPassword is the password of everybody who was not given one.
const DefaultPassword = "correct horse battery"

// Add makes a person as an operator would: the account, the entity and its
// aliases on the accounts' mount and on the token mount. It returns the id of
// the entity. The mount is made when it is missing.
func (s *Server) Add(p Person) (entity string) {
	s.t.Helper()
	if p.Mount == "" {
		p.Mount = Mount
	}
	if p.Password == "" {
		p.Password = DefaultPassword
	}
	s.Accessor(p.Mount)
	s.Do("POST", "auth/"+p.Mount+"/users/"+p.Name, map[string]any{"password_hash": s.hash(p.Password), "token_policies": p.Policies})
	return s.AddEntity(p)
}

// AddEntity makes the entity and the aliases of a person alone.
func (s *Server) AddEntity(p Person) (entity string) {
	s.t.Helper()
	if p.Mount == "" {
		p.Mount = Mount
	}
	s.Do("POST", "identity/entity/name/"+p.Name, map[string]any{"metadata": p.Metadata})
	entity = s.Do("GET", "identity/entity/name/"+p.Name, nil)["id"].(string)
	for _, mount := range []string{p.Mount, "token"} {
		s.Do("POST", "identity/entity-alias", map[string]any{"name": p.Name, "mount_accessor": s.Accessor(mount), "canonical_id": entity})
	}
	for _, group := range p.Groups {
		s.join(group, entity)
	}
	return entity
}

// SetPassword replaces a password behind everybody's back.
func (s *Server) SetPassword(mount, name, password string) {
	s.t.Helper()
	s.Do("POST", "auth/"+mount+"/users/"+name, map[string]any{"password_hash": s.hash(password)})
}

func (s *Server) hash(password string) string {
	s.t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcryptCost)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(hash)
}

// Accessor is the accessor of an auth mount; a userpass mount is made when it
// is missing.
func (s *Server) Accessor(mount string) string {
	s.t.Helper()
	answer := s.Ask("GET", "sys/auth/"+mount, nil)
	if answer.Status != 200 {
		s.Do("POST", "sys/auth/"+mount, map[string]any{"type": "userpass"})
		answer = s.Ask("GET", "sys/auth/"+mount, nil)
	}
	accessor, _ := answer.Data["accessor"].(string)
	if accessor == "" {
		s.t.Fatalf("no accessor of the mount %s: %v", mount, answer.Errors)
	}
	return accessor
}

// join adds an entity to a group and keeps the group's other members.
func (s *Server) join(group, entity string) {
	s.t.Helper()
	members := []any{entity}
	if known := s.Ask("GET", "identity/group/name/"+url.PathEscape(group), nil); known.Status == 200 {
		present, _ := known.Data["member_entity_ids"].([]any)
		members = append(members, present...)
	}
	s.Do("POST", "identity/group/name/"+url.PathEscape(group), map[string]any{"type": "internal", "member_entity_ids": members})
}

// Leave takes a person out of a group.
func (s *Server) Leave(group, name string) {
	s.t.Helper()
	entity := s.Do("GET", "identity/entity/name/"+name, nil)["id"]
	path := "identity/group/name/" + url.PathEscape(group)
	members, _ := s.Do("GET", path, nil)["member_entity_ids"].([]any)
	s.Do("POST", path, map[string]any{"type": "internal", "member_entity_ids": slices.DeleteFunc(members, func(m any) bool { return m == entity })})
}

// EnrolTOTP gives a person the second factor of a method, as peerage does: a
// secret and an enforcement for their entity alone. It returns the secret.
func (s *Server) EnrolTOTP(method, entity string) (secret string) {
	s.t.Helper()
	secret = s.MakeTOTP(method, entity)
	s.Do("POST", "identity/mfa/login-enforcement/totp-"+entity, map[string]any{"mfa_method_ids": []string{method}, "identity_entity_ids": []string{entity}})
	return secret
}

// MakeTOTP gives an entity a secret that nothing asks for.
func (s *Server) MakeTOTP(method, entity string) (secret string) {
	s.t.Helper()
	made := s.Do("POST", "identity/mfa/method/totp/admin-generate", map[string]any{"method_id": method, "entity_id": entity})
	address, _ := made["url"].(string)
	u, err := url.Parse(address)
	if err != nil || u.Query().Get("secret") == "" {
		s.t.Fatalf("no secret in %q", address)
	}
	return u.Query().Get("secret")
}

// Code is what the person's authenticator shows at a time.
func Code(secret string, now time.Time) string {
	code, err := totp.GenerateCode(secret, now)
	if err != nil {
		panic(fmt.Sprintf("a secret of a test is not base32: %v", err))
	}
	return code
}
