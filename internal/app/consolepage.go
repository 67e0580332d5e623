package app

import (
	"html/template"
	"net/http"
)

// consolePage is what the console listener shows who opens its address: what is there.
const consolePage = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Gatehouse</title>
<link rel="stylesheet" href="/docs/style.css">
</head>
<body>
<main>
<h1>Gatehouse</h1>
<p>This address is for the administrators of this machine. There are no pages for administration yet: commands and the management API do all of it.</p>
<ul>
<li><a href="/readyz?verbose">What works, and what does not</a></li>
{{- if .Metrics}}
<li><a href="/metrics">Metrics</a></li>
{{- end}}
{{- if .Mailbox}}
<li><a href="{{.Mailbox}}">Letters to people</a></li>
{{- end}}
<li><a href="/docs/reasons/">Why requests are refused</a></li>
<li><a href="/gatehouse/v1/openapi.json">The management API</a></li>
</ul>
<pre><code>gatehouse apis
gatehouse tail
gatehouse explain REQUEST_ID
gatehouse history
</code></pre>
</main>
</body>
</html>
`

type consoleView struct {
	Metrics bool
	Mailbox string // path; "" for none
}

// serveConsole answers GET / of the console listener.
func serveConsole(view consoleView) http.HandlerFunc {
	page := template.Must(template.New("console").Parse(consolePage))
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		_ = page.Execute(w, view) // who asked may be gone
	}
}
