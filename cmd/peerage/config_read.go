package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"net/netip"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxSettingFile bounds a file that holds one setting.
const maxSettingFile = 2 << 20

// settingFlags are the values of the flags of all settings. It is built from
// the fields of Settings, so that a new one has its flags by itself.
type settingFlags struct {
	pointer reflect.Value // to a struct of *string, two fields a setting
}

// newSettingFlags makes the struct that kong fills.
func newSettingFlags() settingFlags {
	t := reflect.TypeFor[Settings]()
	var fields []reflect.StructField
	for _, s := range settings() {
		help := s.Help + " ($" + s.Name + ")"
		if s.Default != "" {
			help = s.Help + " Default: " + s.Default + ". ($" + s.Name + ")"
		}
		fileHelp, value, file := "File that holds --"+s.Flag+".", "", ` hidden:""`
		if s.Secret {
			fileHelp, value, file = help, ` hidden:""`, ""
		}
		name := t.Field(s.field).Name
		tag := func(flag, help, placeholder, hidden string) reflect.StructTag {
			return reflect.StructTag(fmt.Sprintf(`name:%q help:%q placeholder:%q group:"settings"%s`, flag, help, placeholder, hidden))
		}
		fields = append(fields,
			reflect.StructField{Name: name, Type: reflect.TypeFor[*string](), Tag: tag(s.Flag, help, placeholder(t.Field(s.field).Type), value)},
			reflect.StructField{Name: name + "File", Type: reflect.TypeFor[*string](), Tag: tag(s.Flag+"-file", fileHelp, "FILE", file)})
	}
	return settingFlags{reflect.New(reflect.StructOf(fields))}
}

func placeholder(t reflect.Type) string {
	switch t {
	case reflect.TypeFor[time.Duration]():
		return "DURATION"
	case reflect.TypeFor[[]netip.Prefix](), reflect.TypeFor[[]string]():
		return "LIST"
	case reflect.TypeFor[bool]():
		return "BOOLEAN"
	case reflect.TypeFor[int](), reflect.TypeFor[*int](), reflect.TypeFor[float64]():
		return "NUMBER"
	}
	return "TEXT"
}

// value returns what the flags --NAME and --NAME-file say of a setting.
func (f settingFlags) value(s setting) (value, file *string) {
	name := reflect.TypeFor[Settings]().Field(s.field).Name
	v := f.pointer.Elem()
	return v.FieldByName(name).Interface().(*string), v.FieldByName(name + "File").Interface().(*string)
}

// settingFaults are all faults of the settings, each a line.
type settingFaults []error

// Error implements error.
func (f settingFaults) Error() string {
	return errors.Join(f...).Error()
}

// readSettings puts the settings together. required are the names of those
// without which the command cannot go on. The error is a settingFaults.
func readSettings(flags settingFlags, environ []string, required ...string) (Settings, error) {
	s := Settings{given: map[string]bool{}, files: map[string]string{}}
	env := map[string]string{}
	for _, pair := range environ {
		name, value, _ := strings.Cut(pair, "=")
		env[name] = value
	}
	faults := strangers(env)
	mailServer, err := djangoMailServer(env)
	if err != nil {
		faults = append(faults, err)
	}
	env[djangoMail] = mailServer
	if err := seedPeeringDB(env); err != nil {
		faults = append(faults, err)
	}
	for _, field := range settings() {
		text, err := s.find(field, flags, env)
		if err == nil {
			if text == "" && field.Default == "" && slices.Contains(required, field.Name) {
				err = errors.New("is required")
				if field.Secret {
					err = fmt.Errorf("is required (or %s_FILE, or --%s-file)", field.Name, field.Flag)
				}
			} else {
				err = s.set(field, text)
			}
		}
		if err != nil {
			// A value of several parts may have a fault in each.
			for line := range strings.SplitSeq(err.Error(), "\n") {
				faults = append(faults, fmt.Errorf("%s: %s", field.Name, line))
			}
		}
	}
	faults = append(faults, s.contradictions()...)
	var traceFaults []error
	s.traces, traceFaults = readTraces(env)
	faults = append(faults, traceFaults...)
	if len(faults) > 0 {
		return Settings{}, settingFaults(faults)
	}
	if s.implyOpenBao() {
		s.Backend = backendOpenBao
	}
	return s, nil
}

// strangers finds variables that are not settings of this version.
func strangers(env map[string]string) (faults []error) {
	known := map[string]bool{}
	for _, s := range settings() {
		known[s.Name], known[s.Name+"_FILE"] = true, true
	}
	for name, value := range env {
		switch {
		case known[name]:
		case isNotBuilt(name):
			if value != "" {
				faults = append(faults, fmt.Errorf("%s is not built into this version", name))
			}
		case ours(name):
			faults = append(faults, fmt.Errorf("%s is not a setting of peerage", name))
		}
	}
	slices.SortFunc(faults, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return faults
}

// find looks a setting up: a flag wins over the environment, and within each
// only one way of giving it may be used.
func (s *Settings) find(field setting, flags settingFlags, env map[string]string) (string, error) {
	value, file := flags.value(field)
	switch {
	case value != nil && field.Secret:
		return "", fmt.Errorf("arguments are for everybody to see: use --%s-file, %s_FILE or %s instead of --%s", field.Flag, field.Name, field.Name, field.Flag)
	case value != nil && file != nil:
		return "", fmt.Errorf("--%s and --%s-file exclude each other", field.Flag, field.Flag)
	case value != nil:
		return s.take(field, *value), nil
	case file != nil:
		return s.takeFile(field, *file)
	}
	own, set := env[field.Name]
	path := env[field.Name+"_FILE"]
	also, alsoSet := env[field.Also]
	meant := func(text string, set bool) bool { return set && (text != "" || field.Empty != "") }
	set, alsoSet = meant(own, set), field.Also != "" && meant(also, alsoSet)
	switch {
	case path != "" && set:
		return "", fmt.Errorf("%s and %s_FILE exclude each other", field.Name, field.Name)
	case path != "" && alsoSet:
		return "", fmt.Errorf("%s and %s_FILE exclude each other", field.Also, field.Name)
	case set && alsoSet && own != also:
		return "", fmt.Errorf("%s has another value", field.Also)
	case path != "":
		return s.takeFile(field, path)
	case set:
		return s.take(field, own), nil
	case alsoSet:
		return s.take(field, also), nil
	}
	return field.Default, nil
}

// take notes that a setting was given. An empty value is not, unless it has a
// meaning: composed environments are full of empty variables.
func (s *Settings) take(field setting, text string) string {
	if text == "" && field.Empty == "" {
		return field.Default
	}
	s.given[field.Name] = true
	return text
}

func (s *Settings) takeFile(field setting, path string) (string, error) {
	text, err := readSettingFile(path)
	if err != nil {
		return "", err
	}
	s.files[field.Name] = path
	return s.take(field, text), nil
}

// readSettingFile reads a file that holds one setting, without the newline
// that editors put at its end.
func readSettingFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("reading its file: %w", err)
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxSettingFile+1))
	if err != nil {
		return "", fmt.Errorf("reading its file: %w", err)
	}
	if len(content) > maxSettingFile {
		return "", fmt.Errorf("its file %s is larger than %d bytes", path, maxSettingFile)
	}
	return strings.TrimSuffix(strings.TrimSuffix(string(content), "\n"), "\r"), nil
}

// set parses text into the field and checks the value.
func (s *Settings) set(field setting, text string) error {
	if len(field.OneOf) > 0 && !slices.Contains(field.OneOf, text) {
		return fmt.Errorf("%q is not one of %s", text, strings.Join(field.OneOf, ", "))
	}
	var err error
	switch v := reflect.ValueOf(s).Elem().Field(field.field).Addr().Interface().(type) {
	case *string:
		*v = text
	case *secret:
		*v = secret(text)
	case *bool:
		*v = text == "true" // the choices are bounded
	case *time.Duration:
		*v, err = parseDuration(text)
	case *float64:
		*v, err = strconv.ParseFloat(text, 64)
		if err != nil || *v < 0 || math.IsNaN(*v) || math.IsInf(*v, 0) {
			err = fmt.Errorf("%q is not a number of 0 or more", text)
		}
	case *int:
		if *v, err = strconv.Atoi(text); err != nil {
			err = fmt.Errorf("%q is not a whole number", text)
		}
	case **int:
		*v, err = parseOptional(text)
	case *[]string:
		*v = list(text)
	case *[]netip.Prefix:
		*v, err = parseNetworks(text)
	default:
		err = fmt.Errorf("has the unexpected type %T", v)
	}
	if err != nil || text == "" {
		return err
	}
	return s.check(field, text)
}

func parseDuration(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("%q is not a duration such as 15m", text)
	}
	return d, nil
}

func parseOptional(text string) (*int, error) {
	if text == "" {
		return nil, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return nil, fmt.Errorf("%q is not a whole number", text)
	}
	return &n, nil
}

// list splits at commas; spaces around the parts do not count.
func list(text string) []string {
	var parts []string
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part != "" {
			parts = append(parts, part)
		}
	}
	return parts
}

// parseNetworks reads CIDRs; a single address stands for itself.
func parseNetworks(text string) ([]netip.Prefix, error) {
	var networks []netip.Prefix
	var faults []error
	for _, part := range list(text) {
		prefix, err := netip.ParsePrefix(part)
		if addr, bad := netip.ParseAddr(part); bad == nil && addr.Zone() == "" {
			prefix, err = netip.PrefixFrom(addr, addr.BitLen()), nil
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("%q is not a CIDR such as 192.0.2.0/24", part))
			continue
		}
		networks = append(networks, prefix.Masked())
	}
	return networks, errors.Join(faults...)
}
