// The pages in Chromium: sign-in, consent, denial, account. Reads what `gatehouse
// dev` says of itself from the file in its first argument, and fails on the first
// thing that is wrong: a refused load, a request elsewhere, a serious finding of
// axe, or a page that does not do what it says.
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createHash } from "node:crypto";
import { once } from "node:events";
import assert from "node:assert/strict";
import { chromium } from "playwright-core";
import { AxeBuilder } from "@axe-core/playwright";

const ready = JSON.parse(readFileSync(process.argv[2], "utf8"));
const [ana, ben] = ready.demo.users;

// The app: it only takes what it is given.
const app = createServer((_, response) => {
  response.setHeader("Content-Type", "text/html");
  response.end("<!doctype html><html lang=en><title>App</title><h1>App</h1>");
}).listen(0, "127.0.0.1");
await once(app, "listening");
const redirect = `http://127.0.0.1:${app.address().port}/callback`;
const verifier = "v".repeat(64);

function authorize(parameters = {}) {
  return ready.demo.issuer + "/v1/authorize?" + new URLSearchParams({
    client_id: ready.demo.browser_client_id, redirect_uri: redirect, response_type: "code", scope: "openid vacations:read", state: "s",
    code_challenge: createHash("sha256").update(verifier).digest("base64url"), code_challenge_method: "S256", ...parameters,
  });
}

// answer waits for what the app was given.
async function answer(page) {
  await page.waitForURL(redirect + "*");
  const url = new URL(page.url());
  return Object.fromEntries(url.searchParams);
}

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || "/usr/bin/chromium", args: ["--no-sandbox"] });

// visit opens a page in a fresh browser that notes everything that is wrong.
async function visit(options, walk) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  const wrong = [];
  page.on("console", (m) => {
    if (/Content Security Policy/i.test(m.text())) wrong.push(m.text());
  });
  page.on("pageerror", (e) => wrong.push(String(e)));
  page.on("request", (r) => {
    const { origin } = new URL(r.url());
    if (![new URL(ready.identity).origin, new URL(redirect).origin].includes(origin)) wrong.push("a request to " + r.url());
  });
  // look checks what is there as it is.
  const look = async (name) => {
    const found = (await new AxeBuilder({ page }).analyze()).violations.filter((v) => ["serious", "critical"].includes(v.impact));
    for (const v of found) wrong.push(`${name}: ${v.id}: ${v.nodes.map((n) => n.html).join(" ")}`);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    if (wide > 0) wrong.push(`${name}: ${wide} pixels too wide`);
  };
  try {
    await walk(page, look);
  } catch (failed) {
    console.error(page.url(), await page.locator("main").innerText().catch(() => "no page"));
    throw failed;
  } finally {
    assert.deepEqual(wrong, []);
    await context.close();
  }
}

const looks = [
  { viewport: { width: 1100, height: 760 }, colorScheme: "light" },
  { viewport: { width: 360, height: 640 }, colorScheme: "dark" },
  { viewport: { width: 360, height: 640 }, colorScheme: "light", javaScriptEnabled: false },
];

for (const options of looks) {
  const scripts = options.javaScriptEnabled !== false;
  await visit(options, async (page, look) => {
    const see = scripts ? look : async () => {};
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
await visit(looks[1], async (page, look) => {
  await page.goto(ready.identity + "/account");
  await page.getByRole("link", { name: "Forgotten your password?" }).click();
  await page.locator("#identifier:focus").waitFor();
  await look("forgotten password");
  await page.keyboard.type(ben.login);
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Look into your mailbox" }).waitFor();
  await look("a letter is on its way");
  let link;
  for (let i = 0; !link && i < 100; i++) {
    const mailbox = await (await fetch(ready.mailbox)).text();
    link = mailbox.match(/<a href="([^"]+\/reset_password\/[^"]+)">/)?.[1];
    if (!link) await page.waitForTimeout(50);
  }
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

await browser.close();
app.close();
console.log(`ok: ${looks.length} browsers`);
