package identity

import "slices"

// EventNames are the names of all events that the audit trail may hold,
// in the order in which a person meets what they tell of.
var EventNames = []string{
	"login_success", "login_failure", "mfa_challenge", "mfa_success", "mfa_failure", "logout", "session_expired", "session_revoke",
	"peeringdb_login", "peeringdb_link", "peeringdb_unlink",
	"oidc_authorize", "consent_grant", "consent_revoke", "oidc_token", "oidc_userinfo", "app_access_denied", "refresh_reuse", "code_replay", "backchannel_logout",
	"password_change", "password_reset", "email_verify", "totp_enable", "totp_disable", "recovery_codes_create", "recovery_code_use", "recovery_link_create",
	"passkey_add", "passkey_remove", "token_create", "token_revoke", "kubeconfig_create", "cert_issue", "cert_revoke",
	"user_create", "user_invite", "user_update", "user_disable", "user_enable", "user_unlock", "user_delete", "admin_user_list", "admin_totp_reset",
	"affiliation_added", "affiliation_removed", "entity_mismatch",
	"group_create", "group_delete", "group_member_add", "group_member_remove",
	"client_create", "client_update", "client_secret_rotate", "client_disable", "client_enable", "client_delete",
	"key_rotate", "key_retire", "netbox_refresh", "settings_change", "backup", "restore",
}

// KnownEvent tells whether there is an event of that name.
func KnownEvent(name string) bool { return slices.Contains(EventNames, name) }
