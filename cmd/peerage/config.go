package main

import (
	"net/netip"
	"net/url"
	"reflect"
	"strings"
	"time"

	"peerage/store"
)

// secret is the text of a setting that must not be shown by accident.
type secret string

// String implements fmt.Stringer.
func (s secret) String() string {
	if s == "" {
		return ""
	}
	return "(secret)"
}

// Settings are all that an operator decides. A setting is given as a flag, as
// the environment variable of its tag "setting" or as the content of the file
// that VARIABLE_FILE names; "also" is a variable of another program that is
// read too. A field with the tag "secret" has no flag but --NAME-file: the
// arguments of a process are for everybody to see.
type Settings struct {
	// Issuer is the exact issuer URL, without a slash at its end.
	Issuer string `setting:"PEERAGE_ISSUER" also:"OIDC_ISSUER" check:"issuer" help:"Issuer URL: https (http only for loopback hosts), without path or slash at the end."`
	// Listen is the address of the public listener.
	Listen string `setting:"PEERAGE_LISTEN" default:"127.0.0.1:8080" check:"address" help:"Address of the public listener."`
	// OpsListen is the address of the operations listener, "" for none.
	OpsListen string `setting:"PEERAGE_OPS_LISTEN" default:"127.0.0.1:9464" empty:"off" check:"address" help:"Address of the operations listener: /metrics, /healthz, /readyz, pprof. Empty turns it off."`
	// TLSCert and TLSKey are paths of PEM files; both or none.
	TLSCert string `setting:"PEERAGE_TLS_CERT" help:"Certificate chain (path of a PEM file) to serve TLS with; read again when it changes."`
	TLSKey  string `setting:"PEERAGE_TLS_KEY" help:"Private key (path of a PEM file) of the certificate; read again when it changes."`

	// Database is a path, or the address of a PostgreSQL. It may hold a
	// password: databaseName is for people's eyes.
	Database string `setting:"PEERAGE_DATABASE" also:"DB_PATH" default:"peerage.db" check:"database" help:"Path of the SQLite database, or postgres://USER@HOST/NAME for PostgreSQL."`
	// SecretKey seals secrets at rest; OldSecretKey opens what it sealed before.
	SecretKey    secret `setting:"PEERAGE_SECRET_KEY" also:"SECRET_KEY" secret:"true" check:"secret key" help:"Seals secrets at rest; at least 32 bytes."`
	OldSecretKey secret `setting:"PEERAGE_SECRET_KEY_OLD" secret:"true" check:"secret key" help:"The secret key before a change; still opens old rows."`
	// SigningKey is a private key in PEM, or names one that OpenBao keeps.
	SigningKey secret `setting:"PEERAGE_SIGNING_KEY" also:"OIDC_SIGNING_KEY_PEM" secret:"true" check:"signing key" help:"RSA, P-256 or Ed25519 private key (PEM) to import once as the active signing key; bao:MOUNT/PATH#FIELD names one in a KV engine of OpenBao, which is read again on a timer."`
	// Clients is a JSON list of clients.
	Clients secret `setting:"PEERAGE_CLIENTS" also:"OIDC_CLIENTS" secret:"true" check:"clients" help:"System clients, a JSON list. Given by a file, it is read again on SIGHUP."`

	// Backend says where passwords live.
	Backend string `setting:"PEERAGE_BACKEND" default:"local" oneof:"local,openbao" help:"Where passwords live: local or openbao, which is implied by BAO_ADDR with a service credential. Recorded at the first start; set explicitly, it changes the record."`
	// BaoAddr, BaoCACert (the path of a PEM file) and BaoNamespace are where
	// OpenBao is, under the names that its own tools read.
	BaoAddr      string `setting:"BAO_ADDR" check:"openbao" help:"Address of the OpenBao server, such as https://bao.example.net:8200: one of its nodes, or what sends everything to the active one."`
	BaoCACert    string `setting:"BAO_CACERT" help:"Authorities (path of a PEM file) of OpenBao's certificate, if they are not the machine's own."`
	BaoNamespace string `setting:"BAO_NAMESPACE" check:"openbao" help:"Namespace of OpenBao in which everything is."`
	// BaoToken, or BaoRoleID with BaoSecretID, is the service credential.
	BaoToken    secret `setting:"PEERAGE_BAO_TOKEN" also:"BAO_MFA_TOKEN" secret:"true" help:"Service credential of OpenBao: the token that peerage openbao bootstrap printed."`
	BaoRoleID   string `setting:"PEERAGE_BAO_ROLE_ID" help:"Service credential of OpenBao: the AppRole that peerage openbao bootstrap printed."`
	BaoSecretID secret `setting:"PEERAGE_BAO_SECRET_ID" secret:"true" help:"Secret of the AppRole."`
	// BaoUserpass is the path of an auth mount.
	BaoUserpass    string `setting:"PEERAGE_BAO_USERPASS" default:"userpass" check:"openbao" help:"OpenBao's userpass mount that holds people's accounts."`
	BaoMFAMethodID string `setting:"PEERAGE_BAO_MFA_METHOD_ID" also:"BAO_MFA_METHOD_ID" help:"TOTP login-MFA method of OpenBao; by default the one that peerage openbao bootstrap made."`
	// BaoNameKey and BaoEmailKey are keys of an entity's metadata.
	BaoNameKey  string `setting:"PEERAGE_BAO_NAME_KEY" default:"name" help:"Key of the entity metadata of OpenBao that holds people's names."`
	BaoEmailKey string `setting:"PEERAGE_BAO_EMAIL_KEY" default:"email" help:"Key of the entity metadata of OpenBao that holds people's e-mail addresses."`
	// BaoEmailVerified vouches for all addresses in OpenBao.
	BaoEmailVerified bool `setting:"PEERAGE_BAO_EMAIL_VERIFIED" default:"false" oneof:"true,false" help:"The operator vouches for the addresses in OpenBao; without it email_verified is false, and some applications refuse everybody."`
	// BaoMaxStale bounds what serves while OpenBao is away.
	BaoMaxStale time.Duration `setting:"PEERAGE_BAO_MAX_STALE" default:"1h" help:"How long the last known state of a person serves while OpenBao does not answer."`
	// BaoMirrorConsents writes what people allowed into their entities.
	BaoMirrorConsents bool `setting:"PEERAGE_BAO_MIRROR_CONSENTS" default:"false" oneof:"true,false" help:"Write people's consents into the metadata oidc_consents of their entities in OpenBao, as Loop Portal did."`
	// BaoKubernetes and BaoPKI are roles of secrets engines, as MOUNT/ROLE.
	BaoKubernetes string `setting:"PEERAGE_BAO_KUBERNETES" check:"openbao" help:"Mount and role of OpenBao's Kubernetes secrets engine, such as kubernetes/people, for people's kubeconfigs; without it there is no such page."`
	BaoPKI        string `setting:"PEERAGE_BAO_PKI" check:"openbao" help:"Mount and role of OpenBao's PKI engine, such as pki/people, for people's client certificates; without it there is no such page."`
	// KubeAPIURL and KubeCA (PEM, or base64 of it) are written into kubeconfigs.
	KubeAPIURL string `setting:"PEERAGE_KUBE_API_URL" also:"KUBE_API_URL" check:"openbao" help:"Address of the Kubernetes API server, for kubeconfigs."`
	KubeCA     string `setting:"PEERAGE_KUBE_CA" also:"KUBE_CA_BASE64" check:"openbao" help:"Authorities of the API server's certificate, as PEM or base64 of it, for kubeconfigs; without it the machine's own."`
	// PeeringDB is off, link or signup.
	PeeringDB string `setting:"PEERAGE_PEERINGDB" also:"AUTH_PEERINGDB_ENABLED" default:"off" oneof:"off,link,signup" help:"Whether people may link their PeeringDB account and sign in by it (link), and new people come in by it (signup)."`
	// Participants are AS numbers, or the path of a file of them behind an @.
	Participants string `setting:"PEERAGE_PARTICIPANTS" check:"participants" help:"AS numbers of the networks that take part in the exchange: a list, or @FILE with one a line, read again on SIGHUP."`
	// PeeringDBClientID and PeeringDBClientSecret are of our registration there.
	PeeringDBClientID     string `setting:"PEERAGE_PEERINGDB_CLIENT_ID" also:"PEERINGDB_OAUTH_CLIENT_ID" help:"Client id of the application that was registered at PeeringDB."`
	PeeringDBClientSecret secret `setting:"PEERAGE_PEERINGDB_CLIENT_SECRET" also:"PEERINGDB_OAUTH_CLIENT_SECRET" secret:"true" help:"Its secret, as it was shown before the form was saved."`
	PeeringDBEnrol        string `setting:"PEERAGE_PEERINGDB_ENROL" default:"participants" oneof:"participants,any" help:"Whom PeeringDB lets in: those of whom a network takes part (participants), or anybody, without groups (any)."`
	// PeeringDBAdminASN is an AS number, "" for off.
	PeeringDBAdminASN    string        `setting:"PEERAGE_PEERINGDB_ADMIN_ASN" check:"asn" help:"AS number of the exchange: who may update this network at PeeringDB and signed in with a second factor is an administrator."`
	PeeringDBAdminGroups bool          `setting:"PEERAGE_PEERINGDB_ADMIN_GROUPS" default:"false" help:"Who may update a network at PeeringDB is in the group as<ASN>-admin too."`
	PeeringDBRequireMFA  bool          `setting:"PEERAGE_PEERINGDB_REQUIRE_MFA" default:"false" help:"Ask for a second factor here where PeeringDB asked for none."`
	PeeringDBRefresh     time.Duration `setting:"PEERAGE_PEERINGDB_REFRESH" default:"6h" help:"Time between two checks of a person at PeeringDB."`
	PeeringDBMaxAge      time.Duration `setting:"PEERAGE_PEERINGDB_MAX_AGE" default:"72h" help:"How long PeeringDB's last good answer about a person counts; then their networks are withheld."`
	PeeringDBRetention   time.Duration `setting:"PEERAGE_PEERINGDB_RETENTION" default:"720h" help:"How long a person is kept who came by PeeringDB alone and has no network left; disabled they are at once."`
	// PeeringDBURL is the base of the addresses below.
	PeeringDBURL          string `setting:"PEERAGE_PEERINGDB_URL" check:"upstream" help:"Base of PeeringDB's addresses; https://auth.peeringdb.com by default."`
	PeeringDBAuthorizeURL string `setting:"PEERAGE_PEERINGDB_AUTHORIZE_URL" check:"upstream" help:"Where people sign in, if not /oauth2/authorize/ below the base."`
	PeeringDBTokenURL     string `setting:"PEERAGE_PEERINGDB_TOKEN_URL" check:"upstream" help:"Token endpoint, if not /oauth2/token/ below the base."`
	PeeringDBRevokeURL    string `setting:"PEERAGE_PEERINGDB_REVOKE_URL" check:"upstream" help:"Revocation endpoint, if not /oauth2/revoke_token/ below the base."`
	PeeringDBProfileURL   string `setting:"PEERAGE_PEERINGDB_PROFILE_URL" check:"upstream" help:"Profile, if not /profile/v1 below the base."`
	PeeringDBJWKSURL      string `setting:"PEERAGE_PEERINGDB_JWKS_URL" check:"upstream" help:"Key set, if not /oauth2/.well-known/jwks.json below the base."`
	PeeringDBIssuer       string `setting:"PEERAGE_PEERINGDB_ISSUER" check:"upstream" help:"Issuer that ID tokens name, if not /oauth2 below the base."`
	// PeeringDBAPIURL and PeeringDBAPIKey are for what PeeringDB tells everybody.
	PeeringDBAPIURL string `setting:"PEERAGE_PEERINGDB_API_URL" check:"upstream" help:"Base of PeeringDB's public data, from which names of networks come; https://www.peeringdb.com/api by default."`
	PeeringDBAPIKey secret `setting:"PEERAGE_PEERINGDB_API_KEY" secret:"true" help:"API key for the public data, with which PeeringDB allows more questions; it works without."`
	// AdminGroup names the group of the administrators.
	AdminGroup string `setting:"PEERAGE_ADMIN_GROUP" default:"admins" check:"group" help:"Members may open /admin."`
	// RequireMFA is off, admins or all.
	RequireMFA string `setting:"PEERAGE_REQUIRE_MFA" default:"admins" oneof:"off,admins,all" help:"Who must have a second factor: off, admins, all."`
	// FreshFactor is how long a factor counts as just given.
	FreshFactor time.Duration `setting:"PEERAGE_FRESH_FACTOR" default:"10m" help:"How long a factor counts as fresh."`
	SessionIdle time.Duration `setting:"PEERAGE_SESSION_IDLE" default:"9h" help:"A browser's session ends after this time without use."`
	SessionMax  time.Duration `setting:"PEERAGE_SESSION_MAX" default:"24h" help:"A browser's session ends after this time in any case."`

	AccessTokenTTL time.Duration `setting:"PEERAGE_ACCESS_TOKEN_TTL" default:"15m" check:"at most 24h" help:"Life of access tokens, unless the client says otherwise; at most 24h."`
	IDTokenTTL     time.Duration `setting:"PEERAGE_ID_TOKEN_TTL" default:"15m" check:"at most 24h" help:"Life of ID tokens, unless the client says otherwise; at most 24h."`
	RefreshIdle    time.Duration `setting:"PEERAGE_REFRESH_IDLE" default:"720h" help:"Refresh tokens die after this time without use."`
	RefreshMax     time.Duration `setting:"PEERAGE_REFRESH_MAX" default:"2160h" help:"Refresh tokens die after this time in any case."`

	// RateLimit is requests per second of one address, 0 for no limit.
	RateLimit float64 `setting:"PEERAGE_RATE_LIMIT" default:"10" help:"Requests per second of one address; 0 turns the limit off."`
	RateBurst int     `setting:"PEERAGE_RATE_BURST" default:"40" check:"at least 1" help:"Requests that one address may send at once."`
	// TrustedProxies, MetricsNetworks: nobody when empty.
	TrustedProxies  []netip.Prefix `setting:"PEERAGE_TRUSTED_PROXIES" help:"CIDRs whose X-Forwarded-For and -Proto count."`
	MetricsNetworks []netip.Prefix `setting:"PEERAGE_METRICS_NETWORKS" also:"PROMETHEUS_TRUSTED_NETWORKS" help:"CIDRs that may read /metrics on the public listener too."`
	// AllowedHosts come on top of the issuer's host and the loopback ones.
	AllowedHosts []string `setting:"PEERAGE_ALLOWED_HOSTS" also:"ALLOWED_HOSTS" check:"hosts" help:"Host names to answer to, beside the issuer's and the loopback ones; others get 421."`

	// SMTPURL is the mail server and MailFrom the sender; both or none.
	SMTPURL  secret `setting:"PEERAGE_SMTP_URL" also:"EMAIL_*" secret:"true" check:"smtp" help:"Mail server: smtp://USER:PASSWORD@HOST:587 (STARTTLS is demanded, except on loopback or with ?tls=off) or smtps://…. Without it, links are shown to the administrator instead."`
	MailFrom string `setting:"PEERAGE_MAIL_FROM" check:"mail from" help:"Sender of mails: noreply@example.net, or Example IX <noreply@example.net>."`

	BrandName string `setting:"PEERAGE_BRAND_NAME" default:"peerage" check:"brand" help:"Name on the pages and in authenticator apps."`
	BrandLogo string `setting:"PEERAGE_BRAND_LOGO" check:"logo" help:"Picture on the pages: a base64 data: picture."`
	// BrandHue is the accent in degrees, nil for our own.
	BrandHue *int `setting:"PEERAGE_BRAND_HUE" check:"0-360" help:"Accent of the pages: a hue of 0 to 360 degrees."`
	// SupportContact is a mail address or a URL.
	SupportContact string `setting:"PEERAGE_SUPPORT_CONTACT" check:"contact" help:"Whom people can ask: a mail address or a URL."`

	LogLevel  string `setting:"PEERAGE_LOG_LEVEL" default:"info" oneof:"debug,info,warn,error" help:"Least level of log lines: debug, info, warn, error."`
	LogFormat string `setting:"PEERAGE_LOG_FORMAT" default:"logfmt" oneof:"logfmt,json" help:"Format of log lines: logfmt or json."`

	// traces come from OpenTelemetry's own variables.
	traces traceSettings

	// given holds the names of the settings that were set and not defaulted;
	// files the paths of those that came from a file.
	given map[string]bool
	files map[string]string
}

// databaseName is the database without the password in its address.
func (s Settings) databaseName() string {
	if !store.IsPostgres(s.Database) {
		return s.Database
	}
	u, err := url.Parse(s.Database)
	if err != nil {
		return "the database"
	}
	return u.Redacted()
}

// setting describes one field of Settings.
type setting struct {
	Name    string // PEERAGE_ISSUER
	Flag    string // issuer
	Also    string // the variable of another program, "" for none
	Default string
	// Empty says what an empty value means; "" when it means the default.
	Empty  string
	Check  string
	OneOf  []string
	Help   string
	Secret bool
	field  int
}

// settings lists the fields of Settings in their order.
func settings() []setting {
	var list []setting
	t := reflect.TypeFor[Settings]()
	for i := range t.NumField() {
		tag := t.Field(i).Tag
		name := tag.Get("setting")
		if name == "" {
			continue
		}
		s := setting{Name: name, Also: tag.Get("also"), Default: tag.Get("default"), Empty: tag.Get("empty"), Check: tag.Get("check"),
			Help: tag.Get("help"), Secret: tag.Get("secret") != "", field: i}
		s.Flag = strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(name, "PEERAGE_")), "_", "-")
		if choice := tag.Get("oneof"); choice != "" {
			s.OneOf = strings.Split(choice, ",")
		}
		list = append(list, s)
	}
	return list
}

// ours tells names that must be known, and not a mistake.
func ours(name string) bool {
	if !strings.HasPrefix(name, "PEERAGE_") || name == "PEERAGE_PORT" {
		return false
	}
	// What Kubernetes puts into every container beside a service called
	// peerage, and what steers our own tests.
	for _, prefix := range []string{"PEERAGE_SERVICE_", "PEERAGE_PORT_", "PEERAGE_TEST_"} {
		if strings.HasPrefix(name, prefix) {
			return false
		}
	}
	return true
}

// notBuilt are settings of parts that do not exist in this version. To ignore
// one would be to promise it, so it stops the start. A name that ends in an
// underscore stands for all that begin with it.
var notBuilt = []string{
	"PEERAGE_PUBLIC_PARTICIPANTS",
	"PEERAGE_NETBOX_", "IXP_NETBOX_URL", "IXP_NETBOX_TOKEN",
	"PEERAGE_PROMETHEUS_URL", "PEERAGE_OUTGOING_ALLOW",
}

func isNotBuilt(name string) bool {
	for _, n := range notBuilt {
		if name == n || strings.HasSuffix(n, "_") && strings.HasPrefix(name, n) || strings.HasPrefix(n, "PEERAGE_") && name == n+"_FILE" {
			return true
		}
	}
	return false
}
