package portal

// ReturnPath lets the tests of this package try what ?return= may name.
func (p *Portal) ReturnPath(given string) string { return p.returnPath(given) }

// PasswordFault lets tests see the words for what only some backends say.
func PasswordFault(err error) (code string, words Sentence) { return passwordFault(err) }
