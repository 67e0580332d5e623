// Single-page apps in Chromium, with the libraries that such apps use as they are
// published: Okta's @okta/okta-auth-js and oidc-client-ts. Reads what `gatehouse
// dev` says of itself from the file in its first argument.
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { once } from "node:events";
import assert from "node:assert/strict";
import { chromium } from "playwright-core";

const ready = JSON.parse(readFileSync(process.argv[2], "utf8"));
const [ana] = ready.demo.users;
const library = (path) => readFileSync(new URL("node_modules/" + path, import.meta.url));
const files = {
  "/okta-auth-js.js": library("@okta/okta-auth-js/dist/okta-auth-js.min.js"),
  "/oidc-client-ts.js": library("oidc-client-ts/dist/browser/oidc-client-ts.min.js"),
};

// The app: one page that loads both libraries, and one that hands on what a hidden
// frame was given. What the app does is said by the walks below.
const silent = `<script>new oidc.UserManager({ authority: "unused", client_id: "unused", redirect_uri: "unused" }).signinSilentCallback()</script>`;
const server = createServer((request, response) => {
  const { pathname } = new URL(request.url, "http://app");
  const script = files[pathname];
  response.setHeader("Content-Type", script ? "text/javascript" : "text/html");
  response.end(script ?? `<!doctype html><html lang=en><title>App</title><h1>App</h1>
<script src=/okta-auth-js.js></script><script src=/oidc-client-ts.js></script>${pathname === "/silent" ? silent : ""}`);
}).listen(0, "127.0.0.1");
await once(server, "listening");
const origin = `http://127.0.0.1:${server.address().port}`;

// manage calls the management API as an administrator.
async function manage(method, path, body) {
  const answer = await fetch(ready.identity + path, {
    method, body: body && JSON.stringify(body),
    headers: { Authorization: "SSWS " + ready.api_token, "Content-Type": "application/json" },
  });
  const text = await answer.text();
  assert.ok(answer.ok, `${method} ${path}: ${answer.status} ${text}`);
  return text && JSON.parse(text);
}

// register makes an app of this kind, assigned to ana.
async function register(label) {
  const app = await manage("POST", "/api/v1/apps", {
    name: "oidc_client", label, signOnMode: "OPENID_CONNECT",
    credentials: { oauthClient: { token_endpoint_auth_method: "none" } },
    settings: {
      oauthClient: {
        application_type: "browser", grant_types: ["authorization_code", "refresh_token"], response_types: ["code"],
        redirect_uris: [origin + "/callback", origin + "/silent"], post_logout_redirect_uris: [origin + "/bye"], consent_method: "TRUSTED",
      },
    },
  });
  const user = await manage("GET", "/api/v1/users/" + encodeURIComponent(ana.login));
  await manage("POST", `/api/v1/apps/${app.id}/users`, { id: user.id, scope: "USER" });
  return app.credentials.oauthClient.client_id;
}

// vacations calls the demo API through the gateway.
async function vacations(token) {
  const answer = await fetch(ready.demo.api + "/vacations/ana", { headers: { Authorization: "Bearer " + token } });
  return answer.status;
}

async function signIn(page) {
  await page.getByLabel("Password").waitFor();
  await page.locator("#identifier").fill(ana.login);
  await page.getByLabel("Password").fill(ana.password);
  await page.getByLabel("Password").press("Enter");
  await page.waitForURL(origin + "/callback*");
}

const claims = (token) => JSON.parse(Buffer.from(token.split(".")[1], "base64url"));

// Okta's library: sign-in by redirect, silent authentication and renewal through a
// frame that answers by postMessage, user info, the session over CORS, revocation, sign-out.
async function oktaAuthJS(page, client) {
  const open = () => page.evaluate(({ client, origin, issuer }) => {
    globalThis.auth = new globalThis.OktaAuth({
      issuer, clientId: client, redirectUri: origin + "/callback", postLogoutRedirectUri: origin + "/bye",
      scopes: ["openid", "profile", "email", "vacations:read"], pkce: true, tokenManager: { storage: "sessionStorage", autoRenew: false },
    });
  }, { client, origin, issuer: ready.demo.issuer });
  await page.goto(origin + "/okta");
  await open();
  assert.equal(await page.evaluate(() => globalThis.auth.session.exists()), false);
  await page.evaluate(() => { globalThis.auth.signInWithRedirect({ originalUri: "/okta" }); });
  await signIn(page);
  await open();
  const tokens = await page.evaluate(async () => {
    const { tokens } = await globalThis.auth.token.parseFromUrl();
    globalThis.auth.tokenManager.setTokens(tokens);
    return tokens;
  });
  assert.equal(tokens.idToken.claims.email, ana.login);
  assert.equal(claims(tokens.accessToken.accessToken).cid, client);
  assert.equal(await vacations(tokens.accessToken.accessToken), 200);

  const user = await page.evaluate(() => globalThis.auth.getUser());
  assert.equal(user.email, ana.login);
  assert.equal(user.sub, tokens.idToken.claims.sub);
  assert.equal(await page.evaluate(() => globalThis.auth.session.exists()), true);
  const session = await page.evaluate(() => globalThis.auth.session.get());
  assert.equal(session.status, "ACTIVE");

  const silent = await page.evaluate(async () => (await globalThis.auth.token.getWithoutPrompt()).tokens);
  assert.notEqual(silent.accessToken.accessToken, tokens.accessToken.accessToken);
  const renewed = await page.evaluate(() => globalThis.auth.tokenManager.renew("accessToken"));
  assert.notEqual(renewed.accessToken, silent.accessToken.accessToken);
  assert.equal(await vacations(renewed.accessToken), 200);

  await page.evaluate((token) => globalThis.auth.revokeAccessToken(token), silent.accessToken);
  assert.equal(await vacations(silent.accessToken.accessToken), 401);
  assert.equal(await vacations(renewed.accessToken), 200);

  await page.evaluate(() => { globalThis.auth.signOut(); });
  await page.waitForURL(origin + "/bye*");
  assert.equal(await vacations(renewed.accessToken), 401);
  await open();
  assert.equal(await page.evaluate(() => globalThis.auth.session.exists()), false);
  const refused = await page.evaluate(() => globalThis.auth.token.getWithoutPrompt().then(() => "tokens", (e) => e.errorCode));
  assert.equal(refused, "login_required");
}

// oidc-client-ts: sign-in by redirect, user info, renewal by a refresh token that is
// rotated, revocation, sign-out.
async function oidcClientTS(page, client) {
  const open = (scope) => page.evaluate(({ client, origin, issuer, scope }) => {
    const { UserManager, WebStorageStateStore } = globalThis.oidc;
    globalThis.manager = new UserManager({
      authority: issuer, client_id: client, redirect_uri: origin + "/callback", silent_redirect_uri: origin + "/silent",
      post_logout_redirect_uri: origin + "/bye", scope, loadUserInfo: true, automaticSilentRenew: false, silentRequestTimeoutInSeconds: 30,
      userStore: new WebStorageStateStore({ store: sessionStorage }), stateStore: new WebStorageStateStore({ store: sessionStorage }),
    });
  }, { client, origin, issuer: ready.demo.issuer, scope });
  const offline = "openid profile email offline_access vacations:read";
  await page.goto(origin + "/oidc");
  await open(offline);
  await page.evaluate(() => { globalThis.manager.signinRedirect({ state: { from: "/oidc" } }); });
  await signIn(page);
  await open(offline);
  const user = await page.evaluate(() => globalThis.manager.signinRedirectCallback());
  assert.equal(user.profile.email, ana.login);
  assert.ok(user.refresh_token);
  assert.equal(await vacations(user.access_token), 200);

  const renewed = await page.evaluate(() => globalThis.manager.signinSilent());
  assert.notEqual(renewed.refresh_token, user.refresh_token); // a browser's are rotated
  assert.equal(await vacations(renewed.access_token), 200);

  await page.evaluate(() => globalThis.manager.revokeTokens(["access_token", "refresh_token"]));
  assert.equal(await vacations(renewed.access_token), 401);

  await page.evaluate(() => { globalThis.manager.signoutRedirect(); });
  await page.waitForURL(origin + "/bye*");
}

// The same without a refresh token: the hidden frame comes back to a page of the app.
async function oidcSilentFrame(page, client) {
  const open = () => page.evaluate(({ client, origin, issuer }) => {
    const { UserManager, WebStorageStateStore } = globalThis.oidc;
    globalThis.manager = new UserManager({
      authority: issuer, client_id: client, redirect_uri: origin + "/callback", silent_redirect_uri: origin + "/silent", scope: "openid vacations:read",
      automaticSilentRenew: false, userStore: new WebStorageStateStore({ store: sessionStorage }), stateStore: new WebStorageStateStore({ store: sessionStorage }),
    });
  }, { client, origin, issuer: ready.demo.issuer });
  await page.goto(origin + "/oidc");
  await open();
  await page.evaluate(() => { globalThis.manager.signinRedirect(); });
  await signIn(page);
  await open();
  const user = await page.evaluate(() => globalThis.manager.signinRedirectCallback());
  assert.equal(user.refresh_token, undefined);
  const silent = await page.evaluate(() => globalThis.manager.signinSilent());
  assert.notEqual(silent.access_token, user.access_token);
  assert.equal(silent.profile.sub, user.profile.sub);
  assert.equal(await vacations(silent.access_token), 200);
}

await manage("POST", "/api/v1/trustedOrigins", { name: "App", origin, scopes: [{ type: "CORS" }, { type: "REDIRECT" }] });
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || "/usr/bin/chromium", args: ["--no-sandbox"] });
const walks = [oktaAuthJS, oidcClientTS, oidcSilentFrame];
for (const walk of walks) {
  const client = await register(walk.name);
  const context = await browser.newContext();
  const page = await context.newPage();
  const said = [];
  page.on("console", (m) => said.push(m.text()));
  page.on("pageerror", (e) => said.push(String(e)));
  try {
    await walk(page, client);
  } catch (failed) {
    console.error(walk.name, page.url(), said, await page.locator("body").innerText().catch(() => "no page"));
    throw failed;
  }
  await context.close();
}
await browser.close();
server.close();
console.log(`ok: ${walks.length} walks`);
