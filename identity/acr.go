package identity

// Authentication context classes (contract section 4), the weakest first.
const (
	ACROneFactor  = "1"
	ACRTwoFactors = "2"
	// ACRPasskey is phishing-resistant: a passkey with user verification
	// (OpenID Connect Extended Authentication Profile section 3).
	ACRPasskey = "phr"
)

// ACRValues are all classes, the weakest first.
func ACRValues() []string { return []string{ACROneFactor, ACRTwoFactors, ACRPasskey} }

// acrRank orders the classes; 0 is one that nobody here can reach.
func acrRank(acr string) int {
	for i, known := range ACRValues() {
		if acr == known {
			return i + 1
		}
	}
	return 0
}

// ACRSatisfies tells whether a sign-in of class have is as strong as want
// demands. A class that we do not know is never met.
func ACRSatisfies(have, want string) bool {
	rank := acrRank(want)
	return rank > 0 && acrRank(have) >= rank
}

// strongerACR is the stronger of two classes: a further factor never makes a
// session weaker.
func strongerACR(a, b string) string {
	if acrRank(b) > acrRank(a) {
		return b
	}
	return a
}
