package portal

// ReturnPath lets the tests of this package try what ?return= may name.
func (p *Portal) ReturnPath(given string) string { return p.returnPath(given) }
