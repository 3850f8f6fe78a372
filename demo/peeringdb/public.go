package peeringdb

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// recorded is the time that the public data bears.
const recordedAt = "2026-11-21T07:59:52Z"

// apiNet answers lists of networks: those that live, unless since asks for the
// deleted ones too. One ASN that is not there is a 404, a list of them is not.
func (s *Server) apiNet(w http.ResponseWriter, r *http.Request) {
	if !s.admitAPI(w, r) {
		return
	}
	q := r.URL.Query()
	wanted, err := numbers(q.Get("asn__in"))
	if err != nil {
		apiJSON(w, http.StatusBadRequest, meta("'ValueError' object is not subscriptable"))
		return
	}
	if one := q.Get("asn"); one != "" {
		if wanted, err = numbers(one); err != nil {
			apiJSON(w, http.StatusBadRequest, meta("'ValueError' object is not subscriptable"))
			return
		}
	}
	data := []map[string]any{}
	for _, n := range s.networks {
		live := n.Status == "ok" || n.Status == "deleted" && q.Has("since")
		if live && (wanted == nil || slices.Contains(wanted, n.ASN)) {
			data = append(data, fields(s.netObject(n), q.Get("fields"), "website", "info_types", "info_type"))
		}
	}
	if q.Has("asn") && len(data) == 0 {
		apiJSON(w, http.StatusNotFound, map[string]any{"data": data, "meta": map[string]string{"error": "Entity not found"}})
		return
	}
	apiJSON(w, http.StatusOK, map[string]any{"data": data, "meta": map[string]any{}})
}

// apiNetByID answers one network, a pending one too.
func (s *Server) apiNetByID(w http.ResponseWriter, r *http.Request) {
	if !s.admitAPI(w, r) {
		return
	}
	w.Header().Set("Allow", "GET, PUT, PATCH, DELETE, HEAD, OPTIONS")
	for _, n := range s.networks {
		if strconv.Itoa(n.ID) == r.PathValue("id") && n.Status != "deleted" {
			apiJSON(w, http.StatusOK, map[string]any{"data": []map[string]any{s.netObject(n)}, "meta": map[string]any{}})
			return
		}
	}
	apiJSON(w, http.StatusNotFound, meta("No Network matches the given query."))
}

func (s *Server) netObject(n *Network) map[string]any {
	website := "https://example.net"
	return map[string]any{
		"id": n.ID, "org_id": n.OrgID, "name": n.Name, "aka": "", "name_long": "", "website": website,
		"social_media": []map[string]string{{"service": "website", "identifier": website}}, "asn": n.ASN, "looking_glass": "", "route_server": "",
		"irr_as_set": "AS" + strconv.FormatInt(n.ASN, 10) + ":AS-ALL", "info_type": "NSP", "info_types": []string{"NSP"},
		"info_prefixes4": nil, "info_prefixes6": nil, "info_traffic": "", "info_ratio": "Not Disclosed", "info_scope": "Not Disclosed",
		"info_unicast": true, "info_multicast": false, "info_ipv6": false, "info_never_via_route_servers": false, "ix_count": 0, "fac_count": 0,
		"notes": "", "netixlan_updated": nil, "netfac_updated": nil, "poc_updated": nil, "policy_url": "", "policy_general": "Open",
		"policy_locations": "", "policy_ratio": false, "policy_contracts": "", "allow_ixp_update": false, "ixp_update_exclude": []string{},
		"status_dashboard": nil, "rir_status": "ok", "rir_status_updated": recordedAt, "logo": nil, "created": recordedAt, "updated": recordedAt, "status": n.Status,
	}
}

// apiPorts answers the presences of live networks.
func (s *Server) apiPorts(w http.ResponseWriter, r *http.Request) {
	if !s.admitAPI(w, r) {
		return
	}
	q := r.URL.Query()
	wanted, err := numbers(q.Get("asn__in"))
	if err != nil {
		apiJSON(w, http.StatusBadRequest, meta("'ValueError' object is not subscriptable"))
		return
	}
	data := []map[string]any{}
	for _, p := range s.ports {
		n := s.network(p.ASN)
		if n == nil || n.Status != "ok" || wanted != nil && !slices.Contains(wanted, p.ASN) ||
			differs(q.Get("ix_id"), p.IXID) || differs(q.Get("net_id"), p.NetID) || differs(q.Get("asn"), int(p.ASN)) {
			continue
		}
		data = append(data, fields(map[string]any{
			"id": p.ID, "net_id": p.NetID, "ix_id": p.IXID, "name": p.Name, "ixlan_id": p.IXLanID, "notes": "", "speed": p.Speed, "asn": p.ASN,
			"ipaddr4": p.IPv4, "ipaddr6": p.IPv6, "is_rs_peer": p.IsRSPeer, "bfd_support": false, "operational": p.Operational,
			"net_side_id": nil, "ix_side_id": nil, "created": recordedAt, "updated": recordedAt, "status": "ok",
		}, q.Get("fields")))
	}
	apiJSON(w, http.StatusOK, map[string]any{"data": data, "meta": map[string]any{}})
}

// admitAPI checks the key and the API's own limits.
func (s *Server) admitAPI(w http.ResponseWriter, r *http.Request) bool {
	who, most := address(r), anonymousPerMinute
	if scheme, key, _ := strings.Cut(r.Header.Get("Authorization"), " "); strings.EqualFold(scheme, "Api-Key") {
		if !slices.Contains(s.keys, key) {
			writeJSON(w, http.StatusUnauthorized, meta("Invalid API key"))
			return false
		}
		who, most = "key "+key, keyedPerMinute
	}
	now := s.now()
	lately := slices.DeleteFunc(s.limits.api[who], func(at time.Time) bool { return !now.Before(at.Add(time.Minute)) })
	if len(lately) >= most {
		s.limits.api[who] = lately
		throttled(w, lately[0].Add(time.Minute).Sub(now))
		return false
	}
	s.limits.api[who] = append(lately, now)
	return true
}

// throttled says nothing useful in words; the header is right.
func throttled(w http.ResponseWriter, wait time.Duration) {
	w.Header().Set("Retry-After", seconds(wait))
	apiJSON(w, http.StatusTooManyRequests, map[string]any{"message": "Request was throttled. Expected available in 0 hours.", "meta": map[string]string{"error": "Too Many Requests"}})
}

func apiJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "s-maxage=10")
	if w.Header().Get("Allow") == "" {
		w.Header().Set("Allow", "GET, POST, HEAD, OPTIONS")
	}
	encode(w, status, body)
}

// numbers reads a list with commas; nil when there is none.
func numbers(list string) ([]int64, error) {
	if list == "" {
		return nil, nil
	}
	var all []int64
	for one := range strings.SplitSeq(list, ",") {
		n, err := strconv.ParseInt(one, 10, 64)
		if err != nil {
			return nil, err
		}
		all = append(all, n)
	}
	return all, nil
}

func differs(asked string, value int) bool { return asked != "" && asked != strconv.Itoa(value) }

// fields keeps what is asked for, and some that are always added.
func fields(object map[string]any, asked string, always ...string) map[string]any {
	if asked == "" {
		return object
	}
	kept := map[string]any{}
	for _, name := range slices.Concat(strings.Split(asked, ","), always) {
		if value, ok := object[name]; ok {
			kept[name] = value
		}
	}
	return kept
}
