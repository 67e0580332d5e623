// Sign-in at a SAML identity provider that others have written (samlify), in Chromium and
// across sites: the provider is at localhost, we are at 127.0.0.1, so the form that brings
// its answer has no cookie of ours. The file in the first argument says where to begin and
// with which key the provider signs.
import { createServer } from "node:http";
import { readFileSync } from "node:fs";
import assert from "node:assert/strict";
import { chromium } from "playwright-core";
import samlify from "samlify";

const { here, token, key, certificate, login } = JSON.parse(readFileSync(process.argv[2], "utf8"));
const { IdentityProvider, ServiceProvider, SamlLib, setSchemaValidator } = samlify;
setSchemaValidator({ validate: () => Promise.resolve("not asked for") });

const template = SamlLib.defaultLoginResponseTemplate.context.replace(
  "{AuthnStatement}{AttributeStatement}",
  `<saml:AuthnStatement AuthnInstant="{IssueInstant}"><saml:AuthnContext><saml:AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement>` +
    `<saml:AttributeStatement><saml:Attribute Name="urn:oid:2.5.4.42" FriendlyName="givenName"><saml:AttributeValue>Cleo</saml:AttributeValue></saml:Attribute></saml:AttributeStatement>`,
);
let idp, sp, form;

// The provider's page: whoever comes is signed in already, and takes the answer along.
const server = createServer(async (req, res) => {
  const at = new URL(req.url, "http://localhost");
  try {
    const query = Object.fromEntries(at.searchParams);
    const { extract } = await idp.parseLoginRequest(sp, "redirect", { query, octetString: at.search.slice(1) });
    const fill = (text) => {
      const id = "_" + crypto.randomUUID(), now = new Date(), until = new Date(now.getTime() + 300_000).toISOString();
      return {
        id,
        context: SamlLib.replaceTagsByValue(text, {
          ID: id, AssertionID: "_" + crypto.randomUUID(), Destination: sp.entityMeta.getAssertionConsumerService("post"), SubjectRecipient: sp.entityMeta.getAssertionConsumerService("post"),
          Audience: sp.entityMeta.getEntityID(), Issuer: idp.entityMeta.getEntityID(), IssueInstant: now.toISOString(), StatusCode: "urn:oasis:names:tc:SAML:2.0:status:Success",
          ConditionsNotBefore: now.toISOString(), ConditionsNotOnOrAfter: until, SubjectConfirmationDataNotOnOrAfter: until,
          NameIDFormat: "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress", NameID: login, InResponseTo: extract.request.id,
        }),
      };
    };
    const answer = await idp.createLoginResponse(sp, { extract }, "post", { email: login }, fill);
    form = { SAMLResponse: answer.context, RelayState: query.RelayState };
    res.setHeader("Content-Type", "text/html");
    res.end(`<!doctype html><title>idp</title><form method="post" action="${answer.entityEndpoint}"><input type="hidden" name="SAMLResponse" value="${answer.context}">
      <input type="hidden" name="RelayState" value="${query.RelayState}"><button>Continue</button></form>`);
  } catch (failed) {
    res.statusCode = 500;
    res.end(String(failed?.stack || failed));
  }
});
await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
const there = `http://localhost:${server.address().port}`;

const api = async (path, body) => {
  const got = await fetch(here + path, { method: "POST", headers: { Authorization: "SSWS " + token, "Content-Type": "application/json" }, body: JSON.stringify(body) });
  assert.equal(got.status, 200, await got.clone().text());
  return got.json();
};
const { kid } = await api("/api/v1/idps/credentials/keys", { x5c: [certificate.replace(/-----[^-]+-----|\s/g, "")] });
const provider = await api("/api/v1/idps", {
  name: "Acme", type: "SAML2", domains: ["acme.example"],
  protocol: { type: "SAML2", endpoints: { sso: { url: there + "/sso" } }, credentials: { trust: { issuer: there + "/metadata", kid } } },
});
idp = IdentityProvider({
  entityID: there + "/metadata", privateKey: key, signingCert: certificate, wantAuthnRequestsSigned: false, loginResponseTemplate: { context: template, attributes: [] },
  nameIDFormat: ["urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"], singleSignOnService: [{ Binding: "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect", Location: there + "/sso" }],
});
sp = ServiceProvider({ metadata: await (await fetch(provider._links.metadata.href)).text() });

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || "/usr/bin/chromium", args: ["--no-sandbox"] });
const context = await browser.newContext({ viewport: { width: 360, height: 640 } });
const page = await context.newPage();
try {
  await page.goto(here + "/account");
  await page.locator("#identifier").fill(login);
  await page.keyboard.press("Enter");
  await page.waitForURL(there + "/sso*");
  await page.getByRole("button", { name: "Continue" }).click();
  await page.waitForURL(here + "/account");
  await page.getByText(login).first().waitFor();
  // The same answer in another browser, and once more in this one.
  const other = await browser.newContext();
  for (const [name, who] of [["another browser", other], ["again", context]]) {
    const got = await who.request.post(here + "/sso/saml2/" + provider.id, { form });
    assert.equal(got.status(), 404, name);
  }
  assert.equal((await other.request.get(here + "/api/v1/sessions/me")).status(), 404);
} catch (failed) {
  console.error(page.url(), await page.locator("body").innerText().catch(() => "no page"));
  throw failed;
}
await browser.close();
server.close();
console.log("ok: samlify");
