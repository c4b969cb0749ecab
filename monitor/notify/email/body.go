package email

import (
	"fmt"
	"html/template"
	"strings"
	"time"

	"steer/monitor/notify"
)

// row is one fact of a mail.
type row struct{ Name, Text string }

func rows(m notify.Message) []row {
	var list []row
	add := func(name, text string) {
		if text != "" {
			list = append(list, row{name, text})
		}
	}
	add("Service", string(m.Service))
	add("Environment", string(m.Environment))
	add("Version", string(m.Version))
	add("Team", string(m.Team))
	add("Severity", m.Severity)
	if !m.Opened.IsZero() {
		add("Opened", m.Opened.UTC().Format(time.RFC1123))
	}
	switch m.Transition {
	case notify.Resolved:
		text := m.At.UTC().Format(time.RFC1123)
		if d := m.Took(); d > 0 {
			text += fmt.Sprintf(" (after %s)", d)
		}
		add("Resolved", text)
	case notify.Acknowledged:
		add("Acknowledged", m.At.UTC().Format(time.RFC1123))
	}
	return list
}

func plain(m notify.Message) string {
	var b strings.Builder
	line := func(s string) { b.WriteString(s + "\r\n") }
	line(m.Title)
	line("")
	if m.Reason != "" {
		line(m.Reason)
		line("")
	}
	if m.Summary != "" {
		line(m.Summary)
		line("")
	}
	for _, r := range rows(m) {
		line(fmt.Sprintf("%-13s %s", r.Name+":", r.Text))
	}
	if len(m.Changes) > 0 {
		line("")
		line("What changed shortly before:")
		for _, c := range m.Changes {
			line("  - " + c)
		}
	}
	line("")
	if m.URL != "" {
		line("Look:    " + m.URL)
	}
	if m.Runbook != "" {
		line("Runbook: " + m.Runbook)
	}
	return b.String()
}

const page = `<!doctype html><html><body style="font-family:sans-serif;font-size:15px;color:#1b1f24">
<h2 style="font-size:18px">{{.M.Title}}</h2>
{{with .M.Reason}}<p>{{.}}</p>{{end}}{{with .M.Summary}}<p>{{.}}</p>{{end}}
<table style="border-collapse:collapse">{{range .Rows}}<tr><th align="left" style="padding:2px 16px 2px 0">{{.Name}}</th><td>{{.Text}}</td></tr>{{end}}</table>
{{with .M.Changes}}<p><b>What changed shortly before</b></p><ul>{{range .}}<li>{{.}}</li>{{end}}</ul>{{end}}
{{with .M.URL}}<p><a href="{{.}}">Look at the incident</a></p>{{end}}{{with .M.Runbook}}<p><a href="{{.}}">Runbook</a></p>{{end}}
</body></html>
`

// render returns the mail as plain text and as HTML.
func render(m notify.Message) (text, html string, err error) {
	t, err := template.New("mail").Parse(page)
	if err != nil {
		return "", "", fmt.Errorf("write mail: %w", err)
	}
	var b strings.Builder
	if err := t.Execute(&b, struct {
		M    notify.Message
		Rows []row
	}{m, rows(m)}); err != nil {
		return "", "", fmt.Errorf("write mail: %w", err)
	}
	return plain(m), b.String(), nil
}
