// Codes by e-mail in Chromium: set up on the account page, asked for where a level
// demands it, taken away; with and without scripts, light and dark. Reads what `gatehouse
// dev` says of itself from the file in its first argument; with a second one it leaves a
// picture of each page in that folder.
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createHash } from "node:crypto";
import { once } from "node:events";
import assert from "node:assert/strict";
import { chromium } from "playwright-core";
import { AxeBuilder } from "@axe-core/playwright";

const ready = JSON.parse(readFileSync(process.argv[2], "utf8"));
const pictures = process.argv[3];
const [ana, ben] = ready.demo.users;

const app = createServer((_, response) => {
  response.setHeader("Content-Type", "text/html");
  response.end("<!doctype html><html lang=en><title>App</title><h1>App</h1>");
}).listen(0, "127.0.0.1");
await once(app, "listening");
const redirect = `http://127.0.0.1:${app.address().port}/callback`;
const demanding = ready.demo.issuer + "/v1/authorize?" + new URLSearchParams({
  client_id: ready.demo.browser_client_id, redirect_uri: redirect, response_type: "code", scope: "openid", state: "s",
  code_challenge: createHash("sha256").update("v".repeat(64)).digest("base64url"), code_challenge_method: "S256", acr_values: "urn:okta:loa:2fa:any",
});

// code waits for the next code that is sent to somebody.
const seen = new Set();
async function code(to) {
  for (let i = 0; i < 1200; i++) {
    const mailbox = await (await fetch(ready.mailbox)).text();
    const letters = mailbox.split("<article").filter((l) => l.includes(to));
    for (const l of letters) {
      const found = l.match(/>\s*([0-9]{6})\s*</)?.[1];
      const id = l.match(/id="([^"]+)"/)?.[1] ?? l;
      if (found && !seen.has(id)) {
        seen.add(id);
        return found;
      }
    }
    await new Promise((done) => setTimeout(done, 50));
  }
  throw new Error("no code has come");
}

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || "/usr/bin/chromium", args: ["--no-sandbox"] });
let shots = 0;

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
  const look = async (name) => {
    if (pictures) await page.screenshot({ path: `${pictures}/${String(++shots).padStart(2, "0")}-${name.replaceAll(" ", "-")}-${options.viewport.width}-${options.colorScheme}.png`, fullPage: true });
    if (options.javaScriptEnabled === false) return;
    for (const v of (await new AxeBuilder({ page }).analyze()).violations.filter((v) => ["serious", "critical"].includes(v.impact))) {
      wrong.push(`${name}: ${v.id}: ${v.nodes.map((n) => n.html).join(" ")}`);
    }
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

async function signIn(page, who) {
  await page.getByLabel("Name or e-mail address").fill(who.login);
  await page.getByLabel("Password").fill(who.password);
  await page.getByLabel("Password").press("Enter");
}

const looks = [
  [{ viewport: { width: 1100, height: 760 }, colorScheme: "light" }, ana],
  [{ viewport: { width: 360, height: 640 }, colorScheme: "dark", javaScriptEnabled: false }, ben],
];

for (const [options, who] of looks) {
  await visit(options, async (page, look) => {
    await page.goto(ready.identity + "/account");
    await signIn(page, who);
    await page.getByRole("button", { name: "Set up codes by e-mail" }).click();
    await page.getByRole("button", { name: "Send a code", exact: true }).waitFor();
    await look("set up");
    await page.getByRole("button", { name: "Send a code", exact: true }).click();
    // The field has the focus: a code is typed and sent by keys alone.
    await page.locator("#mailcode:focus").waitFor();
    await look("sent");
    const sent = await code(who.login);
    await page.keyboard.type(sent === "000000" ? "000001" : "000000");
    await page.keyboard.press("Enter");
    await page.getByRole("alert").waitFor();
    await look("wrong code");
    await page.locator("#mailcode").fill(sent);
    await page.keyboard.press("Enter");
    await page.getByRole("status").waitFor();
    await page.getByText(who.login[0] + "***@").waitFor();
    await look("account");
  });
  await visit(options, async (page, look) => {
    await page.goto(demanding);
    await signIn(page, who);
    await page.getByRole("button", { name: "Send a code", exact: true }).waitFor();
    await look("asked");
    await page.getByRole("button", { name: "Send a code", exact: true }).click();
    await page.locator("#mailcode").fill(await code(who.login));
    await look("asked and sent");
    await page.keyboard.press("Enter");
    await page.waitForURL(redirect + "*");
    assert.ok(new URL(page.url()).searchParams.get("code"));
    await page.goto(ready.identity + "/account/activity");
    await look("activity");
    await page.goto(ready.identity + "/account");
    await page.getByRole("button", { name: "Remove codes by e-mail" }).click();
    await page.getByRole("status").waitFor();
    await page.getByRole("button", { name: "Set up codes by e-mail" }).waitFor();
  });
}

// All the ways beside each other.
await visit({ viewport: { width: 360, height: 640 }, colorScheme: "light" }, async (page, look) => {
  await page.goto(demanding);
  await signIn(page, ana);
  await page.getByRole("button", { name: "Send a code", exact: true }).waitFor();
  await look("choose one");
  await page.getByRole("button", { name: "Send a code", exact: true }).click();
  await page.locator("#mailcode:focus").waitFor();
  await look("chosen");
  await page.getByRole("link", { name: "Use another way" }).click();
  await page.getByRole("button", { name: "Set up an app" }).waitFor();
  await look("another way");
});

await browser.close();
app.close();
console.log(`ok: ${looks.length} browsers`);
