// Passkeys in Chromium with its virtual authenticator: one is made, signs in alone,
// and steps up from a refused call of an API to an allowed one. Reads what the
// program says of itself from the file in its first argument; the folder in the
// second, if there is one, gets a picture of each page. Fails on the first thing
// that is wrong.
import { readFileSync } from "node:fs";
import assert from "node:assert/strict";
import { demoApp, narrow, open, plain, wide } from "./visit.mjs";

const ready = JSON.parse(readFileSync(process.argv[2], "utf8"));
const [ana, ben] = ready.demo.users;
const app = await demoApp(ready, "openid payroll:write");
const { authorize, redirect } = app;
const browser = await open({ origins: [new URL(ready.identity).origin, app.origin], pictures: process.argv[3] });

// token waits for the app's answer, agreeing to what is asked, and redeems it.
async function token(page) {
  const allow = page.getByRole("button", { name: "Allow" });
  await Promise.race([page.waitForURL(redirect + "*"), allow.waitFor().then(() => allow.click()).catch(() => {})]);
  await page.waitForURL(redirect + "*");
  const code = new URL(page.url()).searchParams.get("code");
  assert.ok(code, page.url());
  return app.redeem(code);
}
const deposit = (login, bearer) => fetch(`${ready.gateway}/hr/direct-deposit/${login}`, { method: "PUT", headers: { Authorization: "Bearer " + bearer } });

// authenticator gives the page's browser one, which asks nobody: it is told when the
// person is there.
async function authenticator(page, context) {
  const cdp = await context.newCDPSession(page);
  await cdp.send("WebAuthn.enable");
  const { authenticatorId } = await cdp.send("WebAuthn.addVirtualAuthenticator", {
    options: { protocol: "ctap2", transport: "internal", hasResidentKey: true, hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: false },
  });
  const during = async (act) => {
    await cdp.send("WebAuthn.setAutomaticPresenceSimulation", { authenticatorId, enabled: true });
    await act();
    await cdp.send("WebAuthn.setAutomaticPresenceSimulation", { authenticatorId, enabled: false });
  };
  return {
    during,
    verified: (isUserVerified) => cdp.send("WebAuthn.setUserVerified", { authenticatorId, isUserVerified }),
    credentials: async () => (await cdp.send("WebAuthn.getCredentials", { authenticatorId })).credentials,
  };
}

async function password(page, user) {
  await page.getByLabel("Name or e-mail address").fill(user.login);
  await page.getByLabel("Password").fill(user.password);
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
}

for (const [name, options, user] of [["wide", wide, ana], ["narrow", narrow, ben]]) {
  await browser.visit(name, options, async (page, see, context) => {
    const key = await authenticator(page, context);
    await page.goto(ready.identity + "/account");
    await page.getByRole("button", { name: "Sign in with a passkey" }).waitFor();
    await see("sign-in");
    await password(page, user);
    await page.getByRole("button", { name: "Add a passkey" }).waitFor();
    await see("account-none");
    await page.getByRole("button", { name: "Add a passkey" }).click();
    await page.getByLabel("Name of the passkey").fill("Work laptop");
    await see("enroll");
    await key.during(async () => {
      await page.getByRole("button", { name: "Make a passkey" }).click();
      await page.getByRole("status").waitFor();
    });
    await page.getByRole("heading", { name: "Work laptop" }).waitFor();
    assert.equal((await key.credentials()).length, 1);
    await see("account");
    await page.getByText("Rename").click();
    await page.getByLabel("Name of the passkey").fill("Work <laptop>");
    await see("rename");
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByRole("heading", { name: "Work <laptop>" }).waitFor();

    // Recovery codes, shown once.
    await page.getByRole("button", { name: "Make recovery codes" }).click();
    await page.getByRole("heading", { name: "Your recovery codes" }).waitFor();
    assert.equal(await page.locator(".codes code").count(), 10);
    await see("codes");
    const [code] = await page.locator(".codes code").allInnerTexts();
    await page.getByRole("link", { name: "I have kept them" }).click();
    await page.getByText("10 of 10 left").waitFor();

    // The same device again is told so.
    await page.getByRole("button", { name: "Add a passkey" }).click();
    await key.during(async () => {
      await page.getByRole("button", { name: "Make a passkey" }).click();
      await page.getByText("has a passkey of yours already").waitFor();
    });
    await see("enroll-again");
    await page.getByRole("link", { name: "Back to your account" }).click();
    await page.getByRole("button", { name: "Sign out", exact: true }).click();
    await page.getByRole("heading", { name: "You are signed out" }).waitFor();

    // Who is not verified is not signed in, and can try again on the same page.
    await page.goto(ready.identity + "/account");
    await key.verified(false);
    await key.during(async () => {
      await page.getByRole("button", { name: "Sign in with a passkey" }).click();
      await page.getByText("No passkey was used").waitFor();
    });
    await see("not-verified");
    await key.verified(true);
    await key.during(async () => {
      await page.getByRole("button", { name: "Sign in with a passkey" }).click();
      await page.getByRole("heading", { name: "Work <laptop>" }).waitFor();
    });

    // The browser offers it in the field of the name, before anything is pressed.
    await page.getByRole("button", { name: "Sign out", exact: true }).click();
    await key.during(async () => {
      await page.goto(ready.identity + "/account");
      await page.getByRole("heading", { name: "Work <laptop>" }).waitFor();
    });

    // From a refused call to an allowed one: a passkey is enough for it at once.
    await page.getByRole("button", { name: "Sign out", exact: true }).click();
    await page.goto(authorize());
    await password(page, user);
    const weak = await token(page);
    const refused = await deposit(user.login, weak);
    assert.equal(refused.status, 401);
    const [, acr] = /acr_values="([^"]+)"/.exec(refused.headers.get("WWW-Authenticate"));
    const [, age] = /max_age="([^"]+)"/.exec(refused.headers.get("WWW-Authenticate"));
    await page.goto(authorize({ acr_values: acr, max_age: age }));
    await page.getByRole("button", { name: "Use a passkey" }).waitFor();
    await see("step-up");
    await page.getByText("Use a recovery code").click();
    await page.getByLabel("Recovery code").fill(code.replace(/^./, (c) => (c === "0" ? "1" : "0")));
    await page.getByRole("button", { name: "Continue" }).click();
    await page.getByText("none of your recovery codes").waitFor();
    await see("recovery");
    let strong;
    await key.during(async () => {
      await page.getByRole("button", { name: "Use a passkey" }).click();
      strong = await token(page);
    });
    assert.equal((await deposit(user.login, strong)).status, 200);
    await page.goto(authorize({ acr_values: "phr", prompt: "login" }));
    await page.getByRole("heading", { name: "Confirm it is you" }).waitFor();
    await see("again");
    await key.during(async () => {
      await page.getByRole("button", { name: "Sign in with a passkey" }).click();
      strong = await token(page);
    });
    assert.equal(JSON.parse(Buffer.from(strong.split(".")[1], "base64url")).acr, "phr");
  });
}

// Without scripts the pages say what to do.
await browser.visit("plain", plain, async (page, see) => {
  await page.goto(ready.identity + "/account");
  await page.getByText("Passkeys need JavaScript").waitFor();
  assert.equal(await page.getByRole("button", { name: "Sign in with a passkey" }).isVisible(), false);
  await see("sign-in");
});

await browser.close();
app.close();
console.log("ok: 3 browsers");
