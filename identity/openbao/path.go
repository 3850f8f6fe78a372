package openbao

import (
	"fmt"
	"regexp"
	"strings"
)

// path is what follows /v1/ in an address. Only at makes one.
type path struct {
	text string
	err  error
}

// segmentShape is a name inside a path: user names, ids of entities (with the
// suffix of a namespace), serial numbers, names of roles and policies.
var segmentShape = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_.:-]{0,126}[A-Za-z0-9_])?$`)

func checkSegment(segment string) error {
	if !segmentShape.MatchString(segment) || strings.Contains(segment, "..") {
		return fmt.Errorf("%q cannot be part of a path", segment)
	}
	return nil
}

// CheckMount tells whether a text may be the path of a mount or a namespace.
func CheckMount(text string) error {
	if at("{mount}", text).err != nil {
		return fmt.Errorf("%q cannot be part of a path of OpenBao", text)
	}
	return nil
}

// at fills a pattern of ours with names: {} stands for one segment, {mount} for
// one or more, as mounts and namespaces have. A name that does not fit makes a
// path with an error, which no request leaves with.
func at(pattern string, names ...string) path {
	var filled []string
	for part := range strings.SplitSeq(pattern, "/") {
		open := strings.Index(part, "{")
		if open < 0 {
			filled = append(filled, part)
			continue
		}
		if len(names) == 0 {
			return path{err: fmt.Errorf("no name for %s", pattern)}
		}
		segments := []string{names[0]}
		if part == "{mount}" {
			segments = strings.Split(names[0], "/")
		}
		for _, segment := range segments {
			if err := checkSegment(segment); err != nil {
				return path{err: err}
			}
		}
		filled = append(filled, part[:open]+names[0])
		names = names[1:]
	}
	if len(names) != 0 {
		return path{err: fmt.Errorf("too many names for %s", pattern)}
	}
	return path{text: strings.Join(filled, "/")}
}
