package main

import (
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

const testSecretKey = "a secret key of the tests, 32 bytes and more"

// flagsOf makes the flags that NAME=VALUE pairs stand for.
func flagsOf(t *testing.T, pairs ...string) settingFlags {
	t.Helper()
	flags := newSettingFlags()
	for _, pair := range pairs {
		name, value, _ := strings.Cut(pair, "=")
		field := flags.pointer.Elem().FieldByName(name)
		if !field.IsValid() {
			t.Fatalf("there is no flag of a field %s", name)
		}
		field.Set(reflect.ValueOf(&value))
	}
	return flags
}

func TestSettingsDefaults(t *testing.T) {
	got, err := readSettings(newSettingFlags(), nil)
	if err != nil {
		t.Fatalf("reading no settings: %v", err)
	}
	want := Settings{Listen: "127.0.0.1:8080", OpsListen: "127.0.0.1:9464", Database: "peerage.db", Backend: "local", BaoUserpass: "userpass", BaoNameKey: "name", BaoEmailKey: "email", BaoMaxStale: time.Hour, AdminGroup: "admins", RequireMFA: "admins",
		FreshFactor: 10 * time.Minute, SessionIdle: 9 * time.Hour, SessionMax: 24 * time.Hour, AccessTokenTTL: 15 * time.Minute, IDTokenTTL: 15 * time.Minute,
		PeeringDB: "off", PeeringDBEnrol: "participants", PeeringDBRefresh: 6 * time.Hour, PeeringDBMaxAge: 72 * time.Hour, PeeringDBRetention: 720 * time.Hour,
		RefreshIdle: 720 * time.Hour, RefreshMax: 2160 * time.Hour, RateLimit: 10, RateBurst: 40, BrandName: "peerage", LogLevel: "info", LogFormat: "logfmt"}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(Settings{})); diff != "" {
		t.Errorf("defaults (-want +got):\n%s", diff)
	}
	if len(got.given) != 0 {
		t.Errorf("given = %v, want none", got.given)
	}
}

func TestSettingsSources(t *testing.T) {
	file := filepath.Join(t.TempDir(), "value")
	if err := os.WriteFile(file, []byte(testSecretKey+"\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	hue := 210
	for _, c := range []struct {
		name  string
		flags []string
		env   []string
		get   func(Settings) any
		want  any
	}{
		{"environment", nil, []string{"PEERAGE_ISSUER=https://id.example.net"}, func(s Settings) any { return s.Issuer }, "https://id.example.net"},
		{"alias", nil, []string{"OIDC_ISSUER=https://id.example.net"}, func(s Settings) any { return s.Issuer }, "https://id.example.net"},
		{"alias with the same value", nil, []string{"OIDC_ISSUER=https://id.example.net", "PEERAGE_ISSUER=https://id.example.net"}, func(s Settings) any { return s.Issuer }, "https://id.example.net"},
		{"an empty variable is none", nil, []string{"OIDC_ISSUER=https://id.example.net", "PEERAGE_ISSUER="}, func(s Settings) any { return s.Issuer }, "https://id.example.net"},
		{"flag before environment", []string{"Database=flag.db"}, []string{"PEERAGE_DATABASE=env.db"}, func(s Settings) any { return s.Database }, "flag.db"},
		{"alias of the database", nil, []string{"DB_PATH=seed.db"}, func(s Settings) any { return s.Database }, "seed.db"},
		{"an empty variable means the default", nil, []string{"PEERAGE_DATABASE="}, func(s Settings) any { return s.Database }, "peerage.db"},
		{"an empty listener is off", nil, []string{"PEERAGE_OPS_LISTEN="}, func(s Settings) any { return s.OpsListen }, ""},
		{"file, without its newline", nil, []string{"PEERAGE_SECRET_KEY_FILE=" + file}, func(s Settings) any { return s.SecretKey }, secret(testSecretKey)},
		{"file by flag", []string{"SecretKeyFile=" + file}, nil, func(s Settings) any { return s.SecretKey }, secret(testSecretKey)},
		{"a file is remembered", []string{"SecretKeyFile=" + file}, nil, func(s Settings) any { return s.files["PEERAGE_SECRET_KEY"] }, file},
		{"networks", nil, []string{"PEERAGE_TRUSTED_PROXIES=192.0.2.7/24, 2001:db8::1"}, func(s Settings) any { return s.TrustedProxies },
			[]netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::1/128")}},
		{"alias of the metrics' networks", nil, []string{"PROMETHEUS_TRUSTED_NETWORKS=10.0.0.0/8"}, func(s Settings) any { return s.MetricsNetworks }, []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}},
		{"hosts", nil, []string{"ALLOWED_HOSTS=a.example.net,::1,"}, func(s Settings) any { return s.AllowedHosts }, []string{"a.example.net", "::1"}},
		{"no rate limit", nil, []string{"PEERAGE_RATE_LIMIT=0"}, func(s Settings) any { return s.RateLimit }, 0.0},
		{"hue", nil, []string{"PEERAGE_BRAND_HUE=210"}, func(s Settings) any { return s.BrandHue }, &hue},
		{"duration", nil, []string{"PEERAGE_FRESH_FACTOR=90s"}, func(s Settings) any { return s.FreshFactor }, 90 * time.Second},
		{"mail server of Django, STARTTLS", nil, []string{"EMAIL_HOST=mail.example.net", "EMAIL_USE_TLS=True", "EMAIL_HOST_USER=ix", "EMAIL_HOST_PASSWORD=p@ss:w/rd", "PEERAGE_MAIL_FROM=ix@example.net"},
			func(s Settings) any { return s.SMTPURL }, secret("smtp://ix:p%40ss%3Aw%2Frd@mail.example.net:587")},
		{"mail server of Django, TLS", nil, []string{"EMAIL_HOST=mail.example.net", "EMAIL_USE_SSL=1", "PEERAGE_MAIL_FROM=ix@example.net"}, func(s Settings) any { return s.SMTPURL }, secret("smtps://mail.example.net:465")},
		{"mail server of Django, in clear", nil, []string{"EMAIL_HOST=mail.example.net", "EMAIL_USE_TLS=false", "PEERAGE_MAIL_FROM=ix@example.net"}, func(s Settings) any { return s.SMTPURL }, secret("smtp://mail.example.net:25?tls=off")},
		{"mail server of Django, nothing said", nil, []string{"EMAIL_HOST=::1", "EMAIL_PORT=2525", "PEERAGE_MAIL_FROM=ix@example.net"}, func(s Settings) any { return s.SMTPURL }, secret("smtp://[::1]:2525")},
		{"Django's other variables alone", nil, []string{"EMAIL_PORT=25", "EMAIL_HOST="}, func(s Settings) any { return s.SMTPURL }, secret("")},
		{"issuer on loopback", nil, []string{"PEERAGE_ISSUER=http://[::1]:8080"}, func(s Settings) any { return s.Issuer }, "http://[::1]:8080"},
		{"OpenBao implied", nil, []string{"BAO_ADDR=http://127.0.0.1:8200", "BAO_MFA_TOKEN=s.x"}, func(s Settings) any { return s.Backend }, "openbao"},
		{"OpenBao implied by an AppRole", nil, []string{"BAO_ADDR=https://bao.example.net", "PEERAGE_BAO_ROLE_ID=r", "PEERAGE_BAO_SECRET_ID=s"}, func(s Settings) any { return s.Backend }, "openbao"},
		{"OpenBao without credential", nil, []string{"BAO_ADDR=http://10.92.0.22:8211"}, func(s Settings) any { return s.Backend }, "local"},
		{"local beside OpenBao", nil, []string{"BAO_ADDR=https://bao.example.net", "PEERAGE_BAO_TOKEN=s.x", "PEERAGE_BACKEND=local"}, func(s Settings) any { return s.Backend }, "local"},
		{"explicit backend", nil, []string{"PEERAGE_BACKEND=local"}, func(s Settings) any { return s.given["PEERAGE_BACKEND"] }, true},
		{"PeeringDB by the seed's switch", nil, []string{"AUTH_PEERINGDB_ENABLED=True", "PEERINGDB_OAUTH_CLIENT_ID=i", "PEERINGDB_OAUTH_CLIENT_SECRET=s", "PEERAGE_PARTICIPANTS=64500"}, func(s Settings) any { return s.PeeringDB }, "signup"},
		{"PeeringDB off by the seed's switch", nil, []string{"AUTH_PEERINGDB_ENABLED=false"}, func(s Settings) any { return s.PeeringDB }, "off"},
		{"the exchange's own network", nil, []string{"PEERAGE_PEERINGDB_ADMIN_ASN=AS64500"}, func(s Settings) any { return s.peeringDBPolicy().AdminASN }, uint32(64500)},
		{"addresses of PeeringDB", nil, []string{"PEERAGE_PEERINGDB_URL=http://127.0.0.1:8600/", "PEERAGE_PEERINGDB_TOKEN_URL=https://pdb.example.net/token/"},
			func(s Settings) any { c := s.peeringDBConfig(); return []string{c.AuthorizeURL, c.TokenURL, c.Issuer} }, []string{"http://127.0.0.1:8600/oauth2/authorize/", "https://pdb.example.net/token/", "http://127.0.0.1:8600/oauth2"}},
		{"not ours to judge", nil, []string{"PEERAGE_SERVICE_HOST=10.0.0.1", "PEERAGE_PORT=tcp://10.0.0.1:80", "PEERAGE_PORT_80_TCP=x", "PEERAGE_TEST_REQUIRE=all", "BAO_TOKEN=x", "BAO_ADDR="},
			func(s Settings) any { return s.Listen }, "127.0.0.1:8080"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := readSettings(flagsOf(t, c.flags...), c.env)
			if err != nil {
				t.Fatalf("reading the settings: %v", err)
			}
			if diff := cmp.Diff(c.want, c.get(s), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
				t.Errorf("value (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSettingsFaults(t *testing.T) {
	for _, c := range []struct {
		name  string
		flags []string
		env   string
		want  string
	}{
		{"http on the internet", nil, "PEERAGE_ISSUER=http://id.example.net", "PEERAGE_ISSUER: must be https; http is for loopback hosts only"},
		{"participants that are no numbers", nil, "PEERAGE_PARTICIPANTS=64500,x", `PEERAGE_PARTICIPANTS: "x" is not an AS number that a network can have`},
		{"participants in a file that is missing", nil, "PEERAGE_PARTICIPANTS=@/nowhere", "PEERAGE_PARTICIPANTS: reading its file: open /nowhere: no such file or directory"},
		{"PeeringDB in clear", nil, "PEERAGE_PEERINGDB_URL=http://pdb.example.net", "PEERAGE_PEERINGDB_URL: must be https; http is for loopback hosts only"},
		{"PeeringDB without its client", nil, "PEERAGE_PEERINGDB=link", "PEERAGE_PEERINGDB: link needs PEERAGE_PEERINGDB_CLIENT_ID and PEERAGE_PEERINGDB_CLIENT_SECRET"},
		{"PeeringDB for everybody by omission", nil, "PEERAGE_PEERINGDB=signup PEERAGE_PEERINGDB_CLIENT_ID=i PEERAGE_PEERINGDB_CLIENT_SECRET=s",
			"PEERAGE_PEERINGDB: signup needs PEERAGE_PARTICIPANTS, or PEERAGE_PEERINGDB_ENROL=any to let anybody in without groups"},
		{"networks that flicker", nil, "PEERAGE_PEERINGDB=link PEERAGE_PEERINGDB_CLIENT_ID=i PEERAGE_PEERINGDB_CLIENT_SECRET=s PEERAGE_PEERINGDB_MAX_AGE=1h",
			"PEERAGE_PEERINGDB_MAX_AGE: is less than PEERAGE_PEERINGDB_REFRESH, so that networks would be withheld between two checks"},
		{"the seed's switch", nil, "AUTH_PEERINGDB_ENABLED=perhaps", `AUTH_PEERINGDB_ENABLED: "perhaps" is not true or false`},
		{"not a URL", nil, "PEERAGE_ISSUER=id.example.net", `PEERAGE_ISSUER: "id.example.net" is not an https URL`},
		{"another scheme", nil, "PEERAGE_ISSUER=ftp://id.example.net", `PEERAGE_ISSUER: "ftp://id.example.net" is not an https URL`},
		{"slash", nil, "PEERAGE_ISSUER=https://id.example.net/", "PEERAGE_ISSUER: must not have a slash at its end"},
		{"path", nil, "PEERAGE_ISSUER=https://example.net/id", "PEERAGE_ISSUER: must not have a path: peerage needs a host name of its own"},
		{"query", nil, "PEERAGE_ISSUER=https://id.example.net?", "PEERAGE_ISSUER: must not have a query or fragment"},
		{"fragment", nil, "PEERAGE_ISSUER=https://id.example.net#", "PEERAGE_ISSUER: must not have a query or fragment"},
		{"user", nil, "PEERAGE_ISSUER=https://me@id.example.net", "PEERAGE_ISSUER: must not have a user name"},
		{"usual port", nil, "PEERAGE_ISSUER=https://id.example.net:443", "PEERAGE_ISSUER: must leave out the usual port: browsers do, and passkeys compare the text"},
		{"upper case", nil, "PEERAGE_ISSUER=https://ID.example.net", "PEERAGE_ISSUER: must be in lower case"},
		{"no port", nil, "PEERAGE_LISTEN=127.0.0.1", `PEERAGE_LISTEN: "127.0.0.1" is not an address such as 127.0.0.1:8080`},
		{"a port too high", nil, "PEERAGE_LISTEN=:70000", `PEERAGE_LISTEN: ":70000" has no port between 0 and 65535`},
		{"same listener", nil, "PEERAGE_OPS_LISTEN=127.0.0.1:8080", "PEERAGE_OPS_LISTEN: is the same as PEERAGE_LISTEN"},
		{"PostgreSQL", nil, "PEERAGE_DATABASE=postgres://ada:se%zzcret@db/peerage", "PEERAGE_DATABASE: is not an address such as postgres://user@host/peerage"},
		{"short key", nil, "SECRET_KEY=0123456789012345678901234567890", "PEERAGE_SECRET_KEY: has 31 bytes and needs at least 32; openssl rand -base64 48 makes a good one"},
		{"old key alone", nil, "PEERAGE_SECRET_KEY_OLD=" + testSecretKey, "PEERAGE_SECRET_KEY_OLD: PEERAGE_SECRET_KEY must be set too"},
		{"secret as an argument", []string{"SecretKey=" + testSecretKey}, "", "PEERAGE_SECRET_KEY: arguments are for everybody to see: use --secret-key-file, PEERAGE_SECRET_KEY_FILE or PEERAGE_SECRET_KEY instead of --secret-key"},
		{"missing file", nil, "PEERAGE_SECRET_KEY_FILE=/nowhere", "PEERAGE_SECRET_KEY: reading its file: open /nowhere: no such file or directory"},
		{"variable and file", nil, "PEERAGE_ISSUER=https://a.example.net PEERAGE_ISSUER_FILE=/nowhere", "PEERAGE_ISSUER: PEERAGE_ISSUER and PEERAGE_ISSUER_FILE exclude each other"},
		{"alias and file", nil, "OIDC_ISSUER=https://a.example.net PEERAGE_ISSUER_FILE=/nowhere", "PEERAGE_ISSUER: OIDC_ISSUER and PEERAGE_ISSUER_FILE exclude each other"},
		{"variable and alias", nil, "PEERAGE_ISSUER=https://a.example.net OIDC_ISSUER=https://b.example.net", "PEERAGE_ISSUER: OIDC_ISSUER has another value"},
		{"both flags", []string{"Issuer=https://a.example.net", "IssuerFile=/nowhere"}, "", "PEERAGE_ISSUER: --issuer and --issuer-file exclude each other"},
		{"not PEM", nil, "PEERAGE_SIGNING_KEY=nonsense", "PEERAGE_SIGNING_KEY: the signing key is not PEM"},
		{"key in OpenBao", nil, "OIDC_SIGNING_KEY_PEM=bao:kv/../sys/raw#key", "PEERAGE_SIGNING_KEY: is not of the form bao:MOUNT/PATH#FIELD, such as bao:secret/infra/portal/oidc#signing_key"},
		{"clients", nil, "OIDC_CLIENTS={}", "PEERAGE_CLIENTS: the clients must be a JSON list of objects: json: cannot unmarshal object into Go value of type []json.RawMessage"},
		{"unknown backend", nil, "PEERAGE_BACKEND=ldap", `PEERAGE_BACKEND: "ldap" is not one of local, openbao`},
		{"address of OpenBao", nil, "BAO_ADDR=bao.example.net:8200", "BAO_ADDR: is not an address such as https://bao.example.net:8200"},
		{"namespace of OpenBao", nil, "BAO_NAMESPACE=a/../b", `BAO_NAMESPACE: "a/../b" cannot be part of a path of OpenBao`},
		{"mount of OpenBao", nil, "PEERAGE_BAO_USERPASS=/userpass", `PEERAGE_BAO_USERPASS: "/userpass" cannot be part of a path of OpenBao`},
		{"role of the PKI engine", nil, "BAO_ADDR=https://bao.example.net PEERAGE_BAO_PKI=pki", "PEERAGE_BAO_PKI: is not MOUNT/ROLE, such as pki/people"},
		{"path of the PKI engine", nil, "BAO_ADDR=https://bao.example.net PEERAGE_BAO_PKI=../pki/people", `PEERAGE_BAO_PKI: is not MOUNT/ROLE: ".." cannot be part of a path`},
		{"PKI without OpenBao", nil, "PEERAGE_BAO_PKI=pki/people", "PEERAGE_BAO_PKI: BAO_ADDR must be set too"},
		{"kubeconfigs for nowhere", nil, "BAO_ADDR=https://bao.example.net PEERAGE_BAO_KUBERNETES=kubernetes/people", "PEERAGE_BAO_KUBERNETES: PEERAGE_KUBE_API_URL must be set too"},
		{"API server", nil, "KUBE_API_URL=kube.example.net:6443", "PEERAGE_KUBE_API_URL: is not an address such as https://kube.example.net:6443"},
		{"authorities of the API server", nil, "KUBE_CA_BASE64=Q0E=", "PEERAGE_KUBE_CA: holds no certificate in PEM, or base64 of it"},
		{"authorities of OpenBao", nil, "BAO_CACERT=/nowhere", "BAO_CACERT: open /nowhere: no such file or directory"},
		{"backend without OpenBao", nil, "PEERAGE_BACKEND=openbao", "PEERAGE_BACKEND: openbao needs BAO_ADDR, and PEERAGE_BAO_TOKEN or PEERAGE_BAO_ROLE_ID with PEERAGE_BAO_SECRET_ID"},
		{"credential without OpenBao", nil, "BAO_MFA_TOKEN=s.x", "PEERAGE_BAO_TOKEN: BAO_ADDR must be set too"},
		{"half of an AppRole", nil, "BAO_ADDR=https://bao.example.net PEERAGE_BAO_ROLE_ID=r", "PEERAGE_BAO_ROLE_ID and PEERAGE_BAO_SECRET_ID: set both or none"},
		{"two credentials", nil, "BAO_ADDR=https://bao.example.net PEERAGE_BAO_TOKEN=s.x PEERAGE_BAO_ROLE_ID=r PEERAGE_BAO_SECRET_ID=s", "PEERAGE_BAO_TOKEN and PEERAGE_BAO_ROLE_ID exclude each other"},
		{"group", nil, "PEERAGE_ADMIN_GROUP=as64500", `PEERAGE_ADMIN_GROUP: the group name "as64500" is kept for affiliations from PeeringDB`},
		{"choice", nil, "PEERAGE_REQUIRE_MFA=true", `PEERAGE_REQUIRE_MFA: "true" is not one of off, admins, all`},
		{"level", nil, "PEERAGE_LOG_LEVEL=loud", `PEERAGE_LOG_LEVEL: "loud" is not one of debug, info, warn, error`},
		{"duration", nil, "PEERAGE_REFRESH_MAX=90d", `PEERAGE_REFRESH_MAX: "90d" is not a duration such as 15m`},
		{"no time at all", nil, "PEERAGE_SESSION_IDLE=0s", `PEERAGE_SESSION_IDLE: "0s" is not a duration such as 15m`},
		{"longer than a key is kept", nil, "PEERAGE_ID_TOKEN_TTL=25h", "PEERAGE_ID_TOKEN_TTL: may be at most 24h"},
		{"access token for days", nil, "PEERAGE_ACCESS_TOKEN_TTL=48h", "PEERAGE_ACCESS_TOKEN_TTL: may be at most 24h"},
		{"rate", nil, "PEERAGE_RATE_LIMIT=NaN", `PEERAGE_RATE_LIMIT: "NaN" is not a number of 0 or more`},
		{"burst", nil, "PEERAGE_RATE_BURST=0", "PEERAGE_RATE_BURST: must be at least 1"},
		{"networks", nil, "PEERAGE_METRICS_NETWORKS=10.0.0.0/8,nonsense", `PEERAGE_METRICS_NETWORKS: "nonsense" is not a CIDR such as 192.0.2.0/24`},
		{"hosts", nil, "ALLOWED_HOSTS=*", `PEERAGE_ALLOWED_HOSTS: "*" is not a host name in lower case, without port`},
		{"hue", nil, "PEERAGE_BRAND_HUE=361", "PEERAGE_BRAND_HUE: 361 is not between 0 and 360"},
		{"brand", nil, "PEERAGE_BRAND_NAME=Example\u202eXI", "PEERAGE_BRAND_NAME: the name has characters that are not shown"},
		{"logo", nil, "PEERAGE_BRAND_LOGO=https://cdn.example.net/logo.png", "PEERAGE_BRAND_LOGO: the logo is neither a data: picture nor a path below /static"},
		{"contact", nil, "PEERAGE_SUPPORT_CONTACT=nobody", `PEERAGE_SUPPORT_CONTACT: the support contact "nobody" is neither a mail address nor a URL`},
		{"mail server", nil, "PEERAGE_MAIL_FROM=a@b.example PEERAGE_SMTP_URL=http://mail.example.net", "PEERAGE_SMTP_URL: is not an address such as smtp://user:password@mail.example.net:587 or smtps://…; characters such as @ : / % # in user or password are written %40 %3A %2F %25 %23"},
		{"mail password in clear", nil, "PEERAGE_MAIL_FROM=a@b.example PEERAGE_SMTP_URL=smtp://u:secret@mail.example.net?tls=off", "PEERAGE_SMTP_URL: has ?tls=off and a password, which would travel in clear"},
		{"mail sender", nil, "PEERAGE_MAIL_FROM=nobody PEERAGE_SMTP_URL=smtp://mail.example.net", "PEERAGE_MAIL_FROM: is not an address such as noreply@example.net or Example IX <noreply@example.net>"},
		{"mail server without sender", nil, "PEERAGE_SMTP_URL=smtp://mail.example.net", "PEERAGE_SMTP_URL and PEERAGE_MAIL_FROM: set both or none"},
		{"mail sender without server", nil, "PEERAGE_MAIL_FROM=a@b.example", "PEERAGE_SMTP_URL and PEERAGE_MAIL_FROM: set both or none"},
		{"two mail servers", nil, "PEERAGE_MAIL_FROM=a@b.example PEERAGE_SMTP_URL=smtp://a.example EMAIL_HOST=b.example", "PEERAGE_SMTP_URL: EMAIL_* has another value\nPEERAGE_SMTP_URL and PEERAGE_MAIL_FROM: set both or none"},
		{"both kinds of TLS", nil, "EMAIL_HOST=b.example EMAIL_USE_TLS=True EMAIL_USE_SSL=True", "EMAIL_USE_TLS and EMAIL_USE_SSL exclude each other"},
		{"Django's truth", nil, "EMAIL_HOST=b.example EMAIL_USE_TLS=maybe", `EMAIL_USE_TLS: "maybe" is not true or false`},
		{"password without user", nil, "PEERAGE_MAIL_FROM=a@b.example EMAIL_HOST=b.example EMAIL_HOST_PASSWORD=secret", "PEERAGE_SMTP_URL: has a user without password, or a password without user"},
		{"half of TLS", nil, "PEERAGE_TLS_KEY=key.pem", "PEERAGE_TLS_CERT and PEERAGE_TLS_KEY: set both or none"},
		{"unknown", nil, "PEERAGE_COLOUR=red", "PEERAGE_COLOUR is not a setting of peerage"},
		{"unknown file", nil, "PEERAGE_COLOUR_FILE=red", "PEERAGE_COLOUR_FILE is not a setting of peerage"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := readSettings(flagsOf(t, c.flags...), strings.Fields(c.env))
			if strings.Contains(c.env, "a secret key of the tests") {
				_, err = readSettings(flagsOf(t, c.flags...), []string{c.env})
			}
			if err == nil || err.Error() != c.want {
				t.Errorf("fault = %v\nwant    %s", err, c.want)
			}
		})
	}
}

// Every setting of the contract that this version does not build stops the
// start by its name.
func TestSettingsNotBuilt(t *testing.T) {
	for name := range strings.FieldsSeq(`PEERAGE_NETBOX_URL PEERAGE_NETBOX_TOKEN PEERAGE_NETBOX_TOKEN_FILE IXP_NETBOX_URL IXP_NETBOX_TOKEN
		PEERAGE_NETBOX_WEBHOOK_SECRET PEERAGE_PUBLIC_PARTICIPANTS PEERAGE_PROMETHEUS_URL PEERAGE_OUTGOING_ALLOW`) {
		_, err := readSettings(newSettingFlags(), []string{name + "=x"})
		if want := name + " is not built into this version"; err == nil || err.Error() != want {
			t.Errorf("%s: fault = %v, want %s", name, err, want)
		}
	}
}

func TestSettingsRequired(t *testing.T) {
	_, err := readSettings(newSettingFlags(), []string{"PEERAGE_RATE_BURST=x"}, "PEERAGE_ISSUER", "PEERAGE_SECRET_KEY")
	want := "PEERAGE_ISSUER: is required\n" +
		"PEERAGE_SECRET_KEY: is required (or PEERAGE_SECRET_KEY_FILE, or --secret-key-file)\n" +
		`PEERAGE_RATE_BURST: "x" is not a whole number`
	if err == nil || err.Error() != want {
		t.Errorf("faults:\n%v\nwant:\n%s", err, want)
	}
}

// The reference for operators names every setting with its words.
func TestSettingsDocument(t *testing.T) {
	document, err := os.ReadFile("../../docs/settings.md")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(document), "\n")
	for _, s := range settings() {
		if row := documentRow(s); !slices.Contains(lines, row) {
			t.Errorf("docs/settings.md lacks this row:\n%s", row)
		}
	}
}

// documentRow is how docs/settings.md shows a setting.
func documentRow(s setting) string {
	flag, also, value := "`--"+s.Flag+"`", "", ""
	if s.Secret {
		flag = "`--" + s.Flag + "-file`"
	}
	if s.Also != "" {
		also = "`" + s.Also + "`"
	}
	if s.Default != "" {
		value = "`" + s.Default + "`"
	}
	return "| `" + s.Name + "` | " + flag + " | " + also + " | " + value + " | " + strings.ReplaceAll(s.Help, "|", "\\|") + " |"
}
