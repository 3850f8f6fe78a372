package portal

import (
	"errors"
	"net/http"
	"strings"

	"peerage/identity"
)

// recoveryCodesPage tells how many recovery codes are left.
func (p *Portal) recoveryCodesPage(w http.ResponseWriter, r *http.Request, v identity.Visitor) error {
	state, err := p.directory.RecoveryState(r.Context(), v.User)
	if err != nil {
		return err
	}
	return p.render.Render(w, http.StatusOK, &RecoveryCodesPage{Base: p.base(r, &v), Allowed: v.User.HasSecondFactor(), Left: int(state.Left), Made: state.CreatedAt, UserName: v.User.Username})
}

// recoveryCodes makes new ones and shows them, this once.
func (p *Portal) recoveryCodes(w http.ResponseWriter, r *http.Request, v identity.Visitor) error {
	codes, err := p.directory.CreateRecoveryCodes(r.Context(), v)
	if errors.Is(err, identity.ErrNoSecondFactor) {
		return p.render.Render(w, http.StatusUnprocessableEntity, &RecoveryCodesPage{Base: p.base(r, &v), UserName: v.User.Username})
	}
	if err != nil {
		return err
	}
	return p.render.Render(w, http.StatusOK, &RecoveryCodesPage{Base: p.base(r, &v), Allowed: true, Left: len(codes), Made: p.now(), Codes: codes, UserName: v.User.Username})
}

// recoveryFile gives the codes that the page has just shown back as a file.
// They come from the form: nobody but the person has them in clear. Nothing
// else than codes is written, so a forged form makes no file of its own.
func (p *Portal) recoveryFile(w http.ResponseWriter, r *http.Request, v identity.Visitor) error {
	typed := r.PostForm["codes"]
	if len(typed) == 0 || len(typed) > identity.RecoveryCodes {
		return see(w, "/identity/recovery-codes")
	}
	title, err := p.render.text("recovery_codes.file", "user", v.User.Username, "brand", p.render.brand.Name)
	if err != nil {
		return err
	}
	lines := []string{title, p.Issuer, ""}
	for _, code := range typed {
		normal, ok := identity.NormalizeRecoveryCode(code)
		if !ok {
			return see(w, "/identity/recovery-codes")
		}
		lines = append(lines, identity.ShowRecoveryCode(normal))
	}
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Content-Disposition", `attachment; filename="recovery-codes.txt"`)
	h.Set("Cache-Control", "no-store")
	_, err = w.Write([]byte(strings.Join(lines, "\r\n") + "\r\n"))
	return err
}
