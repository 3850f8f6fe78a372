package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	"peerage/idp"
	"peerage/store"
)

// clientEditCommand changes what its flags name and nothing else. A flag for a
// list replaces the list; an empty value empties it.
type clientEditCommand struct {
	ID                    string            `arg:"" name:"id" help:"client_id."`
	Name                  *string           `placeholder:"TEXT" help:"Name as people know it."`
	Description           *string           `placeholder:"TEXT" help:"What it is for."`
	LogoURI               *string           `name:"logo-uri" placeholder:"URI" help:"Picture, as a base64 data: address."`
	LaunchURI             *string           `name:"launch-uri" placeholder:"URI" help:"Where people begin; with it the application is on their home page."`
	RedirectURI           []string          `name:"redirect-uri" sep:"none" placeholder:"URI" help:"Address that answers go to; may be given several times."`
	PostLogoutRedirectURI []string          `name:"post-logout-redirect-uri" sep:"none" placeholder:"URI" help:"Address that people may be sent to after signing out; may be given several times."`
	BackchannelLogoutURI  *string           `name:"backchannel-logout-uri" placeholder:"URI" help:"Address that is told when a session of its people ends."`
	AuthMethod            *string           `placeholder:"METHOD" help:"How it authenticates: any (basic or post, whichever comes), client_secret_basic, client_secret_post, private_key_jwt, none. Who gets to need a secret is given one, printed once."`
	Public                bool              `help:"The same as --auth-method none: it cannot keep a secret."`
	JWKSURI               *string           `name:"jwks-uri" placeholder:"URI" help:"Address of its key set, for private_key_jwt."`
	JWKSFile              *string           `name:"jwks-file" placeholder:"FILE" help:"Its key set (JSON), for private_key_jwt."`
	Native                *bool             `negatable:"" help:"It runs on people's own machines."`
	Trusted               *bool             `negatable:"" help:"It is ours: people are not asked for consent."`
	MFA                   *bool             `name:"mfa" negatable:"" help:"Whoever uses it needs a second factor (require_mfa; --require-mfa is the setting for everybody)."`
	RequirePKCE           *bool             `name:"require-pkce" negatable:"" help:"Refuse requests without PKCE."`
	RequirePAR            *bool             `name:"require-par" negatable:"" help:"Only pushed authorization requests (RFC 9126)."`
	Scope                 []string          `sep:"none" placeholder:"SCOPE" help:"Scope that it may ask for; may be given several times. Empty: all."`
	AllowedGroup          []string          `sep:"none" placeholder:"GROUP" help:"Group whose members may use it; may be given several times. Empty: everybody."`
	GrantType             []string          `sep:"none" placeholder:"GRANT" help:"authorization_code, refresh_token, client_credentials or urn:ietf:params:oauth:grant-type:device_code; may be given several times."`
	Alg                   *string           `placeholder:"ALG" help:"Algorithm of its ID tokens: RS256, ES256 or EdDSA."`
	UserInfoAlg           *string           `name:"userinfo-alg" placeholder:"ALG" help:"Sign UserInfo by this algorithm; empty: plain JSON."`
	AccessTokenFormat     *string           `placeholder:"FORMAT" help:"opaque or jwt."`
	AccessTTL             *time.Duration    `name:"access-ttl" placeholder:"15m" help:"Life of its access tokens (access_token_ttl); 0s: that of the settings."`
	IDTTL                 *time.Duration    `name:"id-ttl" placeholder:"15m" help:"Life of its ID tokens (id_token_ttl); 0s: that of the settings."`
	RefreshTTL            *time.Duration    `name:"refresh-ttl" placeholder:"720h" help:"How long its refresh tokens stay good unused (refresh_token_ttl); 0s: that of the settings."`
	Audience              []string          `sep:"none" placeholder:"AUDIENCE" help:"Who else its access tokens are for; may be given several times."`
	Claims                map[string]string `mapsep:"none" placeholder:"NAME=PLACE" help:"Where a claim goes: id_token, userinfo, both or none; may be given several times. NAME= goes back to the default."`
	GroupFilter           *string           `placeholder:"REGEXP" help:"Only groups that match are sent."`
	GroupPrefix           *string           `placeholder:"TEXT" help:"Written before each group that is sent."`
	Role                  []string          `sep:"none" placeholder:"ROLE=GROUP,GROUP" help:"Members of one of the groups get the role as a further group; may be given several times. Empty: none."`
	JSON                  bool              `name:"json" help:"Print one JSON object with client_id and, when there is a new one, client_secret."`
}

// Run changes a client.
func (c clientEditCommand) Run(ctx context.Context, p *program) error {
	if c.Public && c.AuthMethod != nil && *c.AuthMethod != "none" {
		return usagef("--public and --auth-method %s contradict each other", *c.AuthMethod)
	}
	if reflect.DeepEqual(c, clientEditCommand{ID: c.ID, JSON: c.JSON}) {
		return usagef("no flag says what to change (--mfa is the client's require_mfa, --require-mfa the setting for everybody)")
	}
	in, err := p.open(ctx)
	if err != nil {
		return err
	}
	defer in.close()
	old, err := in.storedClient(ctx, c.ID)
	if err != nil {
		return err
	}
	client := old
	if err := c.apply(&client); err != nil {
		return err
	}
	secret := c.authenticate(&client)
	if err := idp.CheckClient(client); err != nil {
		return fmt.Errorf("the client %q cannot be changed like that:\n%w", c.ID, err)
	}
	fields, err := idp.ChangedFields(old, client)
	if err != nil {
		return err
	}
	if len(fields) > 0 {
		if err := in.updateClient(ctx, client); err != nil {
			return err
		}
		in.clientUpdated(ctx, client.ClientID, strings.Join(fields, " "))
	}
	in.warnOfGroups(ctx, p, c.ID, given(c.AllowedGroup))
	// An empty variable in a script must not do that unseen.
	if len(client.AllowedGroups) == 0 && len(old.AllowedGroups) > 0 {
		fmt.Fprintf(p.stderr, "peerage: everybody may use %s now\n", c.ID)
	}
	return c.tell(p, fields, secret)
}

func (c clientEditCommand) tell(p *program, fields []string, secret string) error {
	switch {
	case c.JSON:
		return printJSON(p.stdout, clientSecret{c.ID, secret})
	case len(fields) == 0:
		fmt.Fprintf(p.stdout, "%s is so already; nothing was changed\n", c.ID)
	case secret != "":
		fmt.Fprintf(p.stdout, "changed %s: %s\nclient_secret: %s\nnext: put the secret into the application; it is not shown again\n", c.ID, strings.Join(fields, ", "), secret)
	default:
		fmt.Fprintf(p.stdout, "changed %s: %s\n", c.ID, strings.Join(fields, ", "))
	}
	return nil
}

// apply takes over what the flags say, but for the way of authentication.
func (c clientEditCommand) apply(client *store.Client) error {
	for _, text := range []struct{ field, flag *string }{
		{&client.Name, c.Name}, {&client.Description, c.Description}, {&client.LogoURI, c.LogoURI}, {&client.LaunchURI, c.LaunchURI},
		{&client.BackchannelLogoutURI, c.BackchannelLogoutURI}, {&client.JWKSURI, c.JWKSURI}, {&client.IDTokenSignedResponseAlg, c.Alg}, {&client.AccessTokenFormat, c.AccessTokenFormat},
		{&client.UserInfoSignedResponseAlg, c.UserInfoAlg},
		{&client.GroupFilter, c.GroupFilter}, {&client.GroupPrefix, c.GroupPrefix},
	} {
		if text.flag != nil {
			*text.field = *text.flag
		}
	}
	for _, list := range []struct {
		field *[]string
		flag  []string
	}{
		{&client.RedirectURIs, c.RedirectURI}, {&client.PostLogoutRedirectURIs, c.PostLogoutRedirectURI}, {&client.Scopes, c.Scope},
		{&client.AllowedGroups, c.AllowedGroup}, {&client.GrantTypes, c.GrantType}, {&client.Audience, c.Audience},
	} {
		if list.flag != nil {
			*list.field = given(list.flag)
		}
	}
	for _, life := range []struct {
		field *store.Duration
		flag  *time.Duration
	}{{&client.AccessTokenTTL, c.AccessTTL}, {&client.IDTokenTTL, c.IDTTL}, {&client.RefreshTokenTTL, c.RefreshTTL}} {
		if life.flag != nil {
			*life.field = store.Duration(*life.flag)
		}
	}
	if c.RequirePAR != nil {
		client.RequirePAR = *c.RequirePAR
	}
	if c.Role != nil {
		var err error
		if client.Roles, err = roles(given(c.Role)); err != nil {
			return err
		}
	}
	if c.Native != nil {
		client.ApplicationType = map[bool]string{true: "native", false: "web"}[*c.Native]
	}
	if c.Trusted != nil {
		client.Trusted = *c.Trusted
	}
	if c.MFA != nil {
		client.RequireMFA = *c.MFA
	}
	if c.RequirePKCE != nil {
		client.RequirePKCE = c.RequirePKCE
	}
	client.Claims = placed(client.Claims, c.Claims)
	return c.readKeys(client)
}

// roles reads flags of the form ROLE=GROUP,GROUP.
func roles(flags []string) (list []store.Role, err error) {
	for _, flag := range flags {
		name, groups, ok := strings.Cut(flag, "=")
		if !ok {
			return nil, usagef("--role %q is not of the form ROLE=GROUP,GROUP", flag)
		}
		list = append(list, store.Role{Role: name, Groups: given(strings.Split(groups, ","))})
	}
	return list, nil
}

// given are the values of a flag for a list; an empty one stands for no value.
func given(list []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return s == "" })
}

// placed adds placements of claims to those there are; "" takes one away.
func placed(old, changes map[string]string) map[string]string {
	if len(changes) == 0 {
		return old
	}
	all := map[string]string{}
	maps.Copy(all, old)
	maps.Copy(all, changes)
	maps.DeleteFunc(all, func(_, place string) bool { return place == "" })
	return all
}

// maxKeySet bounds the file of a key set.
const maxKeySet = 64 << 10

func (c clientEditCommand) readKeys(client *store.Client) error {
	if c.JWKSFile == nil {
		return nil
	}
	if *c.JWKSFile == "" {
		client.JWKS = nil
		return nil
	}
	keys, err := os.ReadFile(*c.JWKSFile)
	if err != nil {
		return fmt.Errorf("reading the key set: %w", err)
	}
	if len(keys) > maxKeySet || !json.Valid(keys) {
		return fmt.Errorf("%s is not a key set (JSON) of at most %d bytes", *c.JWKSFile, maxKeySet)
	}
	client.JWKS = keys
	return nil
}

// authenticate changes how a client authenticates. What the new way does not
// use goes; a secret that it needs and lacks is made and returned.
func (c clientEditCommand) authenticate(client *store.Client) (secret string) {
	switch {
	case c.Public:
		return idp.SetAuthMethod(client, "none")
	case c.AuthMethod == nil:
		return ""
	case *c.AuthMethod == "any":
		return idp.SetAuthMethod(client, "")
	}
	return idp.SetAuthMethod(client, *c.AuthMethod)
}
