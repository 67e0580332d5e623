// The OAuth libraries that people use in Node, unmodified, against the program: openid-client (and with it oauth4webapi) and Okta's verifier of access tokens.
// Reads what `gatehouse dev` says of itself from the file in its first argument.
import { readFileSync } from "node:fs";
import assert from "node:assert/strict";
import * as oidc from "openid-client";
import OktaJwtVerifier from "@okta/jwt-verifier";

const ready = JSON.parse(readFileSync(process.argv[2], "utf8"));
const { issuer, users: [ana] } = ready.demo;
const redirect = "http://127.0.0.1:49152/callback";
const insecure = { execute: [oidc.allowInsecureRequests] };

// app makes an app with Okta's management API.
async function app(label, method, settings) {
  const response = await fetch(ready.identity + "/api/v1/apps", {
    method: "POST", headers: { Authorization: "SSWS " + ready.api_token, "Content-Type": "application/json" },
    body: JSON.stringify({
      name: "oidc_client", label, signOnMode: "OPENID_CONNECT", credentials: { oauthClient: { token_endpoint_auth_method: method } },
      settings: { implicitAssignment: true, oauthClient: { consent_method: "TRUSTED", ...settings } },
    }),
  });
  const body = await response.json();
  assert.equal(response.status, 200, JSON.stringify(body));
  return body.credentials.oauthClient;
}

const native = await app("native client", "none", {
  application_type: "native", redirect_uris: [redirect], response_types: ["code"],
  grant_types: ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"],
});
const web = await app("web client", "client_secret_basic", {
  application_type: "web", redirect_uris: [redirect], response_types: ["code"], grant_types: ["authorization_code", "refresh_token", "client_credentials"],
});

// person is somebody in front of a browser without scripts: cookies, forms, redirects.
function person() {
  const cookies = new Map();
  const go = async (url, form) => {
    for (let hops = 0; hops < 10; hops++) {
      if (!String(url).startsWith(ready.identity + "/")) return { url: new URL(url) };
      const response = await fetch(url, {
        method: form ? "POST" : "GET", redirect: "manual", body: form && new URLSearchParams(form),
        headers: { Cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join("; "), "Sec-Fetch-Site": "same-origin" },
      });
      for (const line of response.headers.getSetCookie()) {
        const [, name, value] = /^([^=]+)=([^;]*)/.exec(line);
        cookies.set(name, value);
      }
      const to = response.headers.get("Location");
      if (!to) return { url: new URL(url), body: await response.text(), status: response.status };
      url = new URL(to, url).href;
      form = undefined;
    }
    throw new Error("too many redirects");
  };
  const answer = (page, fields) => go(page.url.href, { token: /name="token" value="([^"]+)"/.exec(page.body)?.[1] ?? "", ...fields });
  return { go, answer, signIn: (page) => answer(page, { step: "signin", identifier: ana.login, password: ana.password }) };
}

// verify has Okta's verifier judge an access token.
async function verify(token, clientId, scope) {
  const verifier = new OktaJwtVerifier({ issuer, clientId, testing: { disableHttpsCheck: true } });
  const { claims } = await verifier.verifyAccessToken(token, "api://default");
  assert.equal(claims.cid, clientId);
  assert.ok(claims.scp.includes(scope), `scopes ${claims.scp}`);
  const last = token.at(-2) === "A" ? "B" : "A";
  await assert.rejects(verifier.verifyAccessToken(token.slice(0, -2) + last + token.at(-1), "api://default"));
  await assert.rejects(verifier.verifyAccessToken(token, "api://other"));
  return claims;
}

// A public app: code, PKCE, a pushed request, DPoP with the server's nonces, refresh, userinfo, revocation.
{
  const config = await oidc.discovery(new URL(issuer), native.client_id, undefined, oidc.None(), insecure);
  const DPoP = oidc.getDPoPHandle(config, await oidc.randomDPoPKeyPair("ES256"));
  const pkceCodeVerifier = oidc.randomPKCECodeVerifier();
  const [expectedState, expectedNonce] = [oidc.randomState(), oidc.randomNonce()];
  const to = await oidc.buildAuthorizationUrlWithPAR(config, {
    redirect_uri: redirect, scope: "openid profile offline_access vacations:read", state: expectedState, nonce: expectedNonce,
    code_challenge: await oidc.calculatePKCECodeChallenge(pkceCodeVerifier), code_challenge_method: "S256",
  }, { DPoP });
  assert.deepEqual([...to.searchParams.keys()].sort(), ["client_id", "request_uri"], "what is asked stays out of the browser");
  const browser = person();
  const back = await browser.signIn(await browser.go(to.href));
  assert.equal(back.url.searchParams.get("iss"), issuer, "the answer names its issuer (RFC 9207)");
  const tokens = await oidc.authorizationCodeGrant(config, back.url, { pkceCodeVerifier, expectedState, expectedNonce, idTokenExpected: true }, undefined, { DPoP });
  assert.equal(tokens.token_type, "dpop");
  const claims = await verify(tokens.access_token, native.client_id, "vacations:read");
  assert.ok(claims.cnf.jkt, "the token is bound to the key");
  const about = await oidc.fetchUserInfo(config, tokens.access_token, tokens.claims().sub, { DPoP });
  assert.equal(about.preferred_username, ana.login);
  const next = await oidc.refreshTokenGrant(config, tokens.refresh_token, undefined, { DPoP });
  assert.notEqual(next.refresh_token, tokens.refresh_token, "a public app's refresh token rotates");
  assert.notEqual(next.access_token, tokens.access_token);
  await assert.rejects(oidc.refreshTokenGrant(config, next.refresh_token), /./, "without the key the refresh token is worth nothing");
  await assert.rejects(oidc.authorizationCodeGrant(config, back.url, { pkceCodeVerifier, expectedState, expectedNonce }, undefined, { DPoP }), { error: "invalid_grant" }, "a code is good once");
  console.log("public app: done");
}

// An app with a secret: code, refresh that stays, introspection, revocation, client credentials.
{
  const config = await oidc.discovery(new URL(issuer), web.client_id, undefined, oidc.ClientSecretBasic(web.client_secret), insecure);
  const pkceCodeVerifier = oidc.randomPKCECodeVerifier();
  const to = oidc.buildAuthorizationUrl(config, {
    redirect_uri: redirect, scope: "openid offline_access vacations:read", code_challenge: await oidc.calculatePKCECodeChallenge(pkceCodeVerifier), code_challenge_method: "S256",
  });
  const browser = person();
  const back = await browser.signIn(await browser.go(to.href));
  const tokens = await oidc.authorizationCodeGrant(config, back.url, { pkceCodeVerifier, idTokenExpected: true });
  assert.equal(tokens.claims().aud, web.client_id, "a plain string, as Okta's verifiers want it");
  const now = await oidc.tokenIntrospection(config, tokens.access_token);
  assert.ok(now.active && now.username === ana.login && now.client_id === web.client_id, JSON.stringify(now));
  const refreshed = await oidc.refreshTokenGrant(config, tokens.refresh_token);
  await verify(refreshed.access_token, web.client_id, "vacations:read");
  await oidc.tokenRevocation(config, tokens.refresh_token);
  await assert.rejects(oidc.refreshTokenGrant(config, tokens.refresh_token), { error: "invalid_grant" });
  assert.equal((await oidc.tokenIntrospection(config, refreshed.access_token)).active, false, "the tokens of a refresh token end with it");
  const own = await oidc.clientCredentialsGrant(config, { scope: "vacations:read" });
  const claims = await verify(own.access_token, web.client_id, "vacations:read");
  assert.equal(claims.sub, web.client_id);
  await assert.rejects(oidc.clientCredentialsGrant(config, { scope: "nothing" }), { error: "invalid_scope" });
  console.log("web app: done");
}

// A device without a browser: the person allows it on another one.
{
  const config = await oidc.discovery(new URL(issuer), native.client_id, undefined, oidc.None(), insecure);
  const device = await oidc.initiateDeviceAuthorization(config, { scope: "openid vacations:read" });
  const browser = person();
  let page = await browser.signIn(await browser.go(device.verification_uri_complete));
  for (const action of ["find", "approve"]) page = await browser.answer(page, { do: action, code: device.user_code });
  assert.match(page.body, /Your device is connected/);
  const tokens = await oidc.pollDeviceAuthorizationGrant(config, { ...device, interval: 1 });
  await verify(tokens.access_token, native.client_id, "vacations:read");
  assert.ok(tokens.claims().sub);
  console.log("device: done");
}
console.log("ok: clients");
