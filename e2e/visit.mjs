// What the walks over the pages have in common: a browser, and visits of it that note
// everything that is wrong with a page.
import { createServer } from "node:http";
import { createHash, createHmac } from "node:crypto";
import { once } from "node:events";
import assert from "node:assert/strict";
import { chromium } from "playwright-core";
import { AxeBuilder } from "@axe-core/playwright";

// Windows that people have.
export const wide = { viewport: { width: 1280, height: 800 }, colorScheme: "light" };
export const narrow = { viewport: { width: 360, height: 640 }, colorScheme: "dark" };
export const plain = { viewport: { width: 360, height: 640 }, colorScheme: "light", javaScriptEnabled: false };

// open starts a browser. Its visits may ask the origins alone; pictures is a folder for a
// picture of each page that is looked at, if there is one.
export async function open({ origins, pictures }) {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || "/usr/bin/chromium", args: ["--no-sandbox"] });

  // visit opens a page in a fresh browser window, and fails on the first walk after which
  // something is wrong: a refused load, a script that breaks, a request elsewhere, and what
  // look finds of each page: a serious finding of axe, in light and in dark, or a page that is
  // wider than its window. With axe: false, axe is not asked: what it finds is the same in
  // another language.
  async function visit(name, { axe = true, ...options }, walk) {
    // What moves is looked at when it has arrived.
    const context = await browser.newContext({ reducedMotion: "reduce", ...options });
    const page = await context.newPage();
    const wrong = [];
    page.on("console", (m) => {
      if (/Content Security Policy/i.test(m.text())) wrong.push(m.text());
    });
    page.on("pageerror", (e) => wrong.push(String(e)));
    page.on("request", (r) => {
      if (!origins.includes(new URL(r.url()).origin)) wrong.push("a request to " + r.url());
    });
    const ask = async (what, builder) => {
      const found = (await builder.analyze()).violations.filter((v) => ["serious", "critical"].includes(v.impact));
      for (const v of found) wrong.push(`${name} ${what}: ${v.id}: ${v.nodes.map((n) => n.html).join(" ")}`);
    };
    const picture = (what) => pictures && page.screenshot({ path: `${pictures}/${name}-${what}.png`, fullPage: true });
    const look = async (what) => {
      await picture(what);
      if (options.javaScriptEnabled === false) return; // axe is a script
      if (axe) {
        await ask(what, new AxeBuilder({ page }));
        // Nothing but the colours is another in the other scheme.
        const { colorScheme } = options;
        await page.emulateMedia({ colorScheme: colorScheme === "dark" ? "light" : "dark" });
        await ask(what + ", other colours", new AxeBuilder({ page }).withRules(["color-contrast"]));
        await picture(what + "-other");
        await page.emulateMedia({ colorScheme });
      }
      const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      if (over > 0) wrong.push(`${name} ${what}: ${over} pixels too wide`);
    };
    try {
      await walk(page, look, context);
    } catch (failed) {
      console.error(name, String(failed), page.url(), await page.locator("main").innerText().catch(() => "no page"));
      throw failed;
    } finally {
      assert.deepEqual(wrong, []);
      await context.close();
    }
  }
  return { visit, close: () => browser.close() };
}

// demoApp is an app that signs people in at the program: it only takes what it is given.
export async function demoApp(ready, scope) {
  const server = createServer((_, response) => {
    response.setHeader("Content-Type", "text/html");
    response.end("<!doctype html><html lang=en><title>App</title><h1>App</h1>");
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const redirect = `http://127.0.0.1:${server.address().port}/callback`;
  const verifier = "v".repeat(64);
  const client = ready.demo.browser_client_id;
  return {
    redirect, origin: new URL(redirect).origin,
    // authorize is the address of an authorization request.
    authorize: (parameters = {}) => ready.demo.issuer + "/v1/authorize?" + new URLSearchParams({
      client_id: client, redirect_uri: redirect, response_type: "code", scope, state: "s",
      code_challenge: createHash("sha256").update(verifier).digest("base64url"), code_challenge_method: "S256", ...parameters,
    }),
    // answer waits for what the app is given.
    answer: async (page) => {
      await page.waitForURL(redirect + "*");
      return Object.fromEntries(new URL(page.url()).searchParams);
    },
    // redeem exchanges a code for an access token.
    redeem: async (code) => {
      const response = await fetch(ready.demo.issuer + "/v1/token", {
        method: "POST", body: new URLSearchParams({ grant_type: "authorization_code", client_id: client, code, redirect_uri: redirect, code_verifier: verifier }),
      });
      assert.equal(response.status, 200);
      return (await response.json()).access_token;
    },
    close: () => server.close(),
  };
}

// link waits for the link of a kind in the newest letter of dev's mailbox.
export async function link(ready, kind) {
  for (let i = 0; i < 1200; i++) {
    const mailbox = await (await fetch(ready.mailbox)).text();
    const found = mailbox.match(new RegExp(`<a href="([^"]+/${kind}/[^"]+)">`))?.[1];
    if (found) return found.replaceAll("&amp;", "&");
    await new Promise((done) => setTimeout(done, 50));
  }
  throw new Error("no letter with a link of " + kind);
}

// totp is the code that an authenticator app shows (RFC 6238).
export function totp(key, ahead = 0) {
  const bits = [...key.replaceAll(" ", "")].map((c) => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(c).toString(2).padStart(5, "0")).join("");
  const secret = Buffer.from(bits.match(/.{8}/g).map((b) => parseInt(b, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000) + ahead));
  const sum = createHmac("sha1", secret).update(counter).digest();
  return String((sum.readUInt32BE(sum[19] & 15) & 0x7fffffff) % 1_000_000).padStart(6, "0");
}
