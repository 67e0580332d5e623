// A tour of every page that a person can meet, in several languages: nothing serious for
// axe in light and dark, nothing wider than its window, no refused load, no request
// elsewhere, and no page in another language than the one that was asked for. Reads what
// the program says of itself from the file in its first argument; the folder in the second,
// if there is one, gets a picture of each page. TOUR picks the looks: de-narrow,ja-wide.
import { readFileSync } from "node:fs";
import assert from "node:assert/strict";
import { demoApp, link, narrow, open, totp, wide } from "./visit.mjs";

const ready = JSON.parse(readFileSync(process.argv[2], "utf8"));
const app = await demoApp(ready, "openid vacations:read payroll:write");
const browser = await open({ origins: [new URL(ready.identity).origin, app.origin], pictures: process.argv[3] });
const windows = { narrow, wide };

// manage calls the management API as an administrator.
async function manage(method, path, body) {
  const answer = await fetch(ready.identity + path, {
    method, body: body && JSON.stringify(body), headers: { Authorization: "SSWS " + ready.api_token, "Content-Type": "application/json" },
  });
  const text = await answer.text();
  assert.ok(answer.ok, `${method} ${path}: ${answer.status} ${text}`);
  return text && JSON.parse(text);
}

const device = (await manage("POST", "/api/v1/apps", {
  name: "oidc_client", label: "Meeting room display", signOnMode: "OPENID_CONNECT", credentials: { oauthClient: { token_endpoint_auth_method: "none" } },
  settings: {
    implicitAssignment: true,
    oauthClient: { application_type: "native", grant_types: ["authorization_code", "urn:ietf:params:oauth:grant-type:device_code"], response_types: ["code"], redirect_uris: ["com.example.room:/callback"] },
  },
})).credentials.oauthClient.client_id;

// People are asked, in sentences of the operator's own.
const scopes = "/api/v1/authorizationServers/default/scopes";
for (const scope of await manage("GET", scopes)) {
  const description = { "vacations:read": "See when you are on vacation.", "payroll:write": "Change the bank account that your salary goes to." }[scope.name];
  if (description) await manage("PUT", `${scopes}/${scope.id}`, { name: scope.name, description, consent: "REQUIRED", optional: scope.name === "payroll:write" });
}

async function tour(lang, window, axe) {
  const name = `${lang}-${window}`;
  const user = { login: `${name}.wolfeschlegelsteinhausen@people.example.com`, password: `the password of ${name}` };
  const id = (await manage("POST", "/api/v1/users?activate=true", {
    profile: { login: user.login, email: user.login, firstName: "Hubert", lastName: "Wolfeschlegelsteinhausen" }, credentials: { password: { value: user.password } },
  })).id;

  await browser.visit(name, { ...windows[window], locale: lang, axe }, async (page, look) => {
    const press = (field, value) => page.locator(`button[name="${field}"][value="${value}"]`).first().click();
    const see = async (what) => {
      await page.locator("h1").waitFor();
      assert.equal(await page.locator("html").getAttribute("lang"), lang, what);
      const logo = await page.locator("img.logo").boundingBox();
      assert.ok(logo?.height >= 24 && logo.width >= 24, `${what}: the logo is not to be seen`);
      await look(what);
    };
    const signIn = async (password = user.password) => {
      await page.locator("#identifier").fill(user.login);
      await page.locator("#password").fill(password);
      await press("step", "signin");
    };

    // The ways in.
    await page.goto(app.authorize());
    await page.locator("#identifier:focus").waitFor();
    await see("01-sign-in");
    await page.locator(".languages summary").click();
    await see("02-languages");
    await signIn("not the password");
    await page.getByRole("alert").first().waitFor();
    await see("03-wrong-password");
    await page.goto(ready.identity + "/recover");
    await see("04-forgotten");
    await page.locator("#identifier").fill(user.login);
    await page.locator("main form button").click();
    await page.locator("#identifier").waitFor({ state: "detached" });
    await see("05-letter-sent");
    const reset = await link(ready, "reset_password");
    await page.goto(reset);
    await see("06-choose");
    await page.locator("#password").fill("x".repeat(8));
    await page.locator("main form button").click();
    await page.locator("#password").waitFor({ state: "detached" });
    await see("07-chosen");
    user.password = "x".repeat(8);
    await page.goto(reset);
    await see("08-bad-link");
    await page.goto(ready.identity + "/register");
    await see("09-register");
    await page.locator("#email").fill("nobody@elsewhere.test");
    await page.locator("main form button").click();
    await page.getByRole("alert").waitFor();
    await see("10-register-domain");
    await page.locator("#email").fill(`new.${name}@acme.test`);
    await page.locator("main form button").click();
    await page.locator("#email").waitFor({ state: "detached" });
    await see("11-register-sent");
    await page.goto(await link(ready, "register"));
    await see("12-begin");
    await page.locator("#first").fill("Ana");
    await page.locator("#password").fill("a password to begin");
    await page.locator("main form button").click();
    await page.locator("#password").waitFor({ state: "detached" });
    await see("13-registered");

    // The way to an app: an expired password, consent, what an app did wrong.
    await manage("POST", `/api/v1/users/${id}/lifecycle/expire_password`);
    await page.goto(app.authorize());
    await signIn();
    await page.locator("#old").waitFor();
    await see("14-expired");
    await page.locator("#old").fill(user.password);
    user.password = "chosen on the tour";
    await page.locator("#password").fill(user.password);
    await press("step", "password");
    await page.locator('button[value="consent"]').waitFor();
    await see("15-consent");
    await press("step", "consent");
    assert.ok((await app.answer(page)).code);
    await page.goto(app.authorize({ prompt: "login" }));
    await see("16-again");
    await page.goto(app.authorize({ redirect_uri: "https://elsewhere.test/" }));
    await see("17-stopped");
    await page.goto(ready.identity + "/signin/nothing");
    await see("18-lost");
    await page.goto(ready.identity + "/account/nothing");
    await see("18-missing");

    // The account, and what can be changed there.
    await page.goto(ready.identity + "/account");
    await see("19-account");
    await page.goto(ready.identity + "/account/activity");
    await see("20-activity");
    await page.goto(ready.identity + "/account/export");
    await see("21-export");
    await page.goto(ready.identity + "/account/email");
    await see("22-email");
    await page.locator("#email").fill(`other.${name}@people.example.com`);
    await page.locator("main form button").click();
    await page.locator("#email").waitFor({ state: "detached" });
    await see("23-email-sent");
    await page.goto(await link(ready, "confirm_email"));
    await see("24-confirm");
    await page.locator("main form button").click();
    await page.locator("main form").waitFor({ state: "detached" });
    await see("25-confirmed");

    // A second factor.
    await page.goto(app.authorize({ acr_values: "urn:okta:loa:2fa:any" }));
    await see("26-enroll");
    await press("step", "enroll");
    await see("27-secret");
    const secret = await page.locator(".key").innerText();
    await page.locator("#code").fill("000000");
    await press("step", "enroll");
    await page.getByRole("alert").first().waitFor();
    await see("28-wrong-code");
    await page.locator("#code").fill(totp(secret));
    await press("step", "enroll");
    assert.ok((await app.answer(page)).code);
    await page.goto(ready.identity + "/account");
    await press("do", "recovery");
    await see("29-codes");
    await page.goto(ready.identity + "/account");
    await see("30-account-full");
    await press("do", "mail");
    await see("30-mail-code");
    await page.locator('form:has(input[name="mail"]) button').click();
    await page.locator("#mailcode").waitFor();
    await see("30-mail-code-sent");
    await page.locator("#mailcode").fill("000000");
    await page.locator("form:has(#mailcode) button").click();
    await page.getByRole("alert").first().waitFor();
    await see("30-mail-code-wrong");
    await page.goto(app.authorize({ acr_values: "urn:okta:loa:2fa:any", prompt: "login" }));
    await page.locator("#password").fill(user.password);
    await press("step", "signin");
    await see("31-factor");
    await page.locator("details:not(.languages) summary").click();
    await page.locator("#recovery").fill("none of them");
    await page.locator("details:not(.languages) button").click();
    await page.getByRole("alert").first().waitFor();
    await see("32-recovery");

    // A device.
    for (const answer of ["deny", "approve"]) {
      const asked = await (await fetch(ready.demo.issuer + "/v1/device/authorize", { method: "POST", body: new URLSearchParams({ client_id: device, scope: "openid profile email offline_access vacations:read" }) })).json();
      await page.goto(ready.identity + "/activate");
      await page.locator("#code").fill("BBBB-BBBB");
      await press("do", "find");
      await page.getByRole("alert").waitFor();
      await see("33-device");
      await page.locator("#code").fill(asked.user_code);
      await press("do", "find");
      await page.locator(`button[value="${answer}"]`).waitFor();
      await see("34-device-confirm");
      await press("do", answer);
      await page.locator("main form").waitFor({ state: "detached" });
      await see("35-device-" + answer);
    }

    // The ways out.
    await page.goto(ready.demo.issuer + "/v1/logout");
    await see("36-sign-out");
    await page.locator("main form button").click();
    await page.locator("main form").waitFor({ state: "detached" });
    await see("37-signed-out");
  });

  // Somebody else's sign-in, from another browser.
  await browser.visit(name + "-other", windows[window], async (page) => {
    await page.goto(ready.identity + "/account");
    await page.locator("#identifier").fill(user.login);
    await page.locator("#password").fill(user.password);
    await page.locator('button[value="signin"]').click();
    await page.locator("#browsers").waitFor();
    await browser.visit(name + "-mine", { ...windows[window], locale: lang, axe }, async (mine, look) => {
      await mine.goto(ready.identity + "/account");
      await mine.locator("#identifier").fill(user.login);
      await mine.locator("#password").fill(user.password);
      await mine.locator('button[value="signin"]').click();
      await mine.locator('button[value="notme"]').waitFor();
      await look("38-two-browsers");
      await mine.locator('button[value="notme"]').first().click();
      await mine.locator("main form").first().waitFor({ state: "detached" });
      await look("39-not-me");
    });
  });
}

const looks = (process.env.TOUR || "de-narrow,ja-wide").split(",");
for (const [i, one] of looks.entries()) await tour(...one.split("-"), i === 0);
await browser.close();
app.close();
console.log(`ok: ${looks.length} tours`);
