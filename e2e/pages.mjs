// The pages in Chromium: sign-in, consent, denial, account. Reads what `gatehouse
// dev` says of itself from the file in its first argument, and fails on the first
// thing that is wrong: a refused load, a request elsewhere, a serious finding of
// axe, or a page that does not do what it says.
import { readFileSync } from "node:fs";
import assert from "node:assert/strict";
import { demoApp, link as letter, narrow, open, plain, totp, wide } from "./visit.mjs";

const ready = JSON.parse(readFileSync(process.argv[2], "utf8"));
const [ana, ben] = ready.demo.users;
const app = await demoApp(ready, "openid vacations:read");
const { authorize, answer, redirect } = app;
const browser = await open({ origins: [new URL(ready.identity).origin, app.origin] });

const looks = { wide, narrow, plain };

for (const [name, options] of Object.entries(looks)) {
  const scripts = options.javaScriptEnabled !== false;
  await browser.visit(name, options, async (page, see) => {
    await page.goto(authorize());
    await see("sign-in");
    // By keyboard alone: the first field has the focus.
    await page.locator("#identifier:focus").waitFor(); // a slow browser gives it after the load
    await page.keyboard.type(ana.login);
    await page.keyboard.press("Tab");
    await page.keyboard.type("not the password");
    await page.keyboard.press("Enter");
    await page.getByRole("alert").waitFor();
    await see("wrong password");
    await page.getByLabel("Password").fill(ana.password);
    await page.getByLabel("Password").press("Enter");
    await page.getByRole("heading", { name: "Allow My HR to do this?" }).waitFor();
    await see("consent");
    await page.getByRole("button", { name: "Deny" }).click();
    let given = await answer(page);
    assert.equal(given.error, "access_denied");
    assert.equal(given.iss, ready.demo.issuer);

    await page.goto(authorize());
    await page.getByRole("button", { name: "Allow" }).click();
    given = await answer(page);
    assert.ok(given.code && given.state === "s");

    await page.goto(ready.identity + "/account");
    await page.getByRole("heading", { name: "My HR" }).waitFor();
    await see("account");
    await page.getByRole("button", { name: "Withdraw access of My HR" }).click();
    await page.getByRole("status").waitFor();
    await page.goto(ready.identity + "/signin/nothing");
    await see("message");

    if (scripts) {
      // form_post sends itself.
      await page.goto(authorize({ prompt: "none", response_mode: "form_post" }));
      await page.waitForURL(redirect);
    }
    await page.goto(ready.identity + "/account");
    await page.getByRole("button", { name: "Sign out", exact: true }).click();
    await page.getByRole("heading", { name: "You are signed out" }).waitFor();
  });
}

// A forgotten password, by keyboard alone, through the mailbox of dev.
await browser.visit("forgotten", narrow, async (page, look) => {
  await page.goto(ready.identity + "/account");
  await page.getByRole("link", { name: "Forgotten your password?" }).click();
  await page.locator("#identifier:focus").waitFor();
  await look("forgotten password");
  await page.keyboard.type(ben.login);
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Look into your mailbox" }).waitFor();
  await look("a letter is on its way");
  const link = await letter(ready, "reset_password");
  await page.goto(link);
  await page.locator("#password:focus").waitFor();
  await look("a new password");
  const chosen = "chosen in chromium";
  await page.keyboard.type(chosen);
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Your password is saved" }).waitFor();
  await look("saved");
  await page.goto(link);
  await page.getByRole("heading", { name: "This link is not good any more" }).waitFor();
  await look("used link");
  await page.goto(ready.identity + "/account/email");
  await page.getByLabel("Name or e-mail address").fill(ben.login);
  await page.getByLabel("Password").fill(chosen);
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Change your e-mail address" }).waitFor();
  await look("address");
  await page.goto(ready.identity + "/account/activity");
  await page.getByText("Password changed").or(page.getByText("Signed in")).first().waitFor();
  await look("activity");
  await page.goto(ready.identity + "/account/export");
  const download = page.waitForEvent("download");
  await look("export");
  await page.getByRole("button", { name: "Download the file" }).click();
  const held = JSON.parse(readFileSync(await (await download).path(), "utf8"));
  assert.equal(held.user.record.profile.login, ben.login);
});

// The demo, whole and without scripts: a person signs in, the API refuses, they show a second
// factor, it obeys, they see it in their account and take the access back, and it refuses.
await browser.visit("step-up", plain, async (page) => {
  const press = (name) => page.getByRole("button", { name, exact: true }).click();
  const deposit = (bearer) => fetch(`${ready.gateway}/hr/direct-deposit/${ana.login}`, { method: "PUT", headers: { Authorization: "Bearer " + bearer } });
  const scope = "openid payroll:write";
  const token = async () => app.redeem((await answer(page)).code);
  await page.goto(authorize({ scope }));
  await page.getByLabel("Name or e-mail address").fill(ana.login);
  await page.getByLabel("Password").fill(ana.password);
  await press("Sign in");
  await press("Allow");
  const weak = await token();
  const refused = await deposit(weak);
  assert.equal(refused.status, 401);
  const challenge = refused.headers.get("WWW-Authenticate");
  assert.match(challenge, /insufficient_user_authentication/);
  const [, acr_values] = /acr_values="([^"]+)"/.exec(challenge);
  const [, max_age] = /max_age="([^"]+)"/.exec(challenge);
  await page.goto(authorize({ scope, acr_values, max_age }));
  await page.getByRole("heading", { name: "Set up a second factor" }).waitFor();
  await press("Begin");
  const key = await page.locator(".key").innerText();
  const used = totp(key); // it is taken for half a minute at least
  await page.getByLabel("Code that the app shows").fill(used);
  await press("Confirm");
  assert.equal((await deposit(await token())).status, 200);
  // With the factor there: password and code, once each, and a code does not do twice.
  await page.goto(authorize({ scope, acr_values, prompt: "login" }));
  await page.getByLabel("Password").fill(ana.password);
  await press("Continue");
  for (const code of [used, totp(key, 1)]) {
    await page.locator("#code").fill(code);
    await page.locator('form:has(#code) button').click();
  }
  const strong = await token();
  assert.equal((await deposit(strong)).status, 200);
  await page.goto(ready.identity + "/account/activity");
  await page.getByText("Second factor used").first().waitFor();
  await page.goto(ready.identity + "/account");
  await press("Withdraw access of My HR");
  await page.getByRole("status").waitFor();
  assert.equal((await deposit(strong)).status, 401);
});

await browser.close();
app.close();
console.log(`ok: ${Object.keys(looks).length} browsers`);
