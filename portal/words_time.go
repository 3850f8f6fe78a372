package portal

import (
	"fmt"
	"html/template"
	"math"
	"time"
)

// when returns t as a time element: how long ago it was within a week, the date
// beyond, and the exact time with its zone in its title. The zero time is
// "never".
func (c *catalogue) when(t, now time.Time) (template.HTML, error) {
	if t.IsZero() {
		return c.html("time.never")
	}
	t = t.UTC()
	exact, err := c.text("time.exact", "day", t.Day(), "month", c.month(t), "year", t.Year(),
		"clock", t.Format("15:04:05"), "zone", "UTC")
	if err != nil {
		return "", err
	}
	shown, err := c.since(t, now)
	if err != nil {
		return "", err
	}
	return template.HTML(fmt.Sprintf(`<time datetime="%s" title="%s">%s</time>`, // #nosec G203 -- every part is escaped
		t.Format(time.RFC3339), template.HTMLEscapeString(exact), shown)), nil
}

func (c *catalogue) since(t, now time.Time) (template.HTML, error) {
	const day = 24 * time.Hour
	switch ago := now.Sub(t); {
	case ago < -time.Minute && ago > -7*day:
		return c.html("time.soon")
	case ago >= -time.Minute && ago < time.Minute:
		return c.html("time.now")
	case ago > 0 && ago < time.Hour:
		return c.count("time.minutes", int(ago/time.Minute))
	case ago > 0 && ago < day:
		return c.count("time.hours", int(ago/time.Hour))
	case ago > 0 && ago < 7*day:
		return c.count("time.days", int(ago/day))
	}
	return c.html("time.date", "day", t.Day(), "month", template.HTML(c.month(t)), "year", t.Year()) // #nosec G203 -- a word of the catalogue
}

// month is the name of t's month; a catalogue without it does not pass the
// check at the start.
func (c *catalogue) month(t time.Time) string {
	return c.sentences[fmt.Sprintf("month.%d", t.Month())]
}

// wait returns the sentence that says how long somebody who tried too often has
// to wait. A wait is rounded up, so that who keeps to it is let in.
func (c *catalogue) wait(d time.Duration) (template.HTML, error) {
	if d <= 90*time.Second {
		return c.count("fault.throttled.seconds", max(1, int(math.Ceil(d.Seconds()))))
	}
	return c.count("fault.throttled.minutes", int(math.Ceil(d.Minutes())))
}
