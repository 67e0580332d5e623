package login

import (
	"embed"

	"gatehouse/internal/web"
)

//go:embed pages/*.html
var pageFiles embed.FS

// What pages with a passkey have in common.
const (
	passkeyPart   = "pages/passkey.html"
	keepPart      = "pages/keep.html"
	rulesPart     = "pages/rules.html"
	passkeyScript = "passkey.js"
)

// pages are the pages of this room, each with what it shows.
type pages struct {
	signIn      web.Page[signInPage]
	password    web.Page[passwordPage]
	enroll      web.Page[enrollPage]
	factor      web.Page[factorPage]
	consent     web.Page[consentPage]
	device      web.Page[devicePage]
	link        web.Page[linkPage]
	signOut     web.Page[signOutPage]
	message     web.Page[messagePage]
	recover     web.Page[recoverPage]
	choose      web.Page[choosePage]
	email       web.Page[emailPage]
	confirm     web.Page[confirmPage]
	register    web.Page[registerPage]
	begin       web.Page[beginPage]
	activity    web.Page[activityPage]
	export      web.Page[exportPage]
	account     web.Page[accountPage]
	codes       web.Page[codesPage]
	formPost    web.Page[responsePage]
	postMessage web.Page[responsePage]
}

func newPages(k *web.Kit) pages {
	return pages{
		signIn:      web.NewPage[signInPage](k, pageFiles, "pages/signin.html", passkeyPart, keepPart),
		password:    web.NewPage[passwordPage](k, pageFiles, "pages/password.html", rulesPart),
		enroll:      web.NewPage[enrollPage](k, pageFiles, "pages/enroll.html", passkeyPart, mailCodePart, keepPart),
		factor:      web.NewPage[factorPage](k, pageFiles, "pages/factor.html", passkeyPart, mailCodePart, keepPart),
		consent:     web.NewPage[consentPage](k, pageFiles, "pages/consent.html"),
		signOut:     web.NewPage[signOutPage](k, pageFiles, "pages/signout.html"),
		device:      web.NewPage[devicePage](k, pageFiles, "pages/device.html"),
		link:        web.NewPage[linkPage](k, pageFiles, "pages/link.html"),
		message:     web.NewPage[messagePage](k, pageFiles, "pages/message.html"),
		recover:     web.NewPage[recoverPage](k, pageFiles, "pages/recover.html"),
		choose:      web.NewPage[choosePage](k, pageFiles, "pages/choose.html", rulesPart),
		email:       web.NewPage[emailPage](k, pageFiles, "pages/email.html"),
		register:    web.NewPage[registerPage](k, pageFiles, "pages/register.html"),
		begin:       web.NewPage[beginPage](k, pageFiles, "pages/begin.html", rulesPart),
		activity:    web.NewPage[activityPage](k, pageFiles, "pages/activity.html"),
		export:      web.NewPage[exportPage](k, pageFiles, "pages/export.html"),
		confirm:     web.NewPage[confirmPage](k, pageFiles, "pages/confirm.html"),
		account:     web.NewPage[accountPage](k, pageFiles, "pages/account.html", rulesPart),
		codes:       web.NewPage[codesPage](k, pageFiles, "pages/codes.html"),
		formPost:    web.NewPage[responsePage](k, pageFiles, "pages/form_post.html"),
		postMessage: web.NewPage[responsePage](k, pageFiles, "pages/post_message.html"),
	}
}
