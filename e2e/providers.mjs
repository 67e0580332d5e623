// Sign-in at another identity provider, in Chromium: by the domain of the address, without
// a password of this server. The file in the first argument says where to begin, whose
// provider it is, and who signs in.
import { readFileSync } from "node:fs";
import assert from "node:assert/strict";
import { chromium } from "playwright-core";
import { AxeBuilder } from "@axe-core/playwright";

const { start, login, password, here, there } = JSON.parse(readFileSync(process.argv[2], "utf8"));
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || "/usr/bin/chromium", args: ["--no-sandbox"] });
for (const options of [
  { viewport: { width: 1100, height: 760 }, colorScheme: "light" },
  { viewport: { width: 360, height: 640 }, colorScheme: "dark" },
]) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  const wrong = [];
  page.on("console", (m) => {
    if (/Content Security Policy/i.test(m.text())) wrong.push(m.text());
  });
  page.on("request", (r) => {
    if (![here, there].includes(new URL(r.url()).origin)) wrong.push("a request to " + r.url());
  });
  const look = async (name) => {
    const found = (await new AxeBuilder({ page }).analyze()).violations.filter((v) => ["serious", "critical"].includes(v.impact));
    for (const v of found) wrong.push(`${name}: ${v.id}: ${v.nodes.map((n) => n.html).join(" ")}`);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    if (wide > 0) wrong.push(`${name}: ${wide} pixels too wide`);
  };
  try {
    await page.goto(start);
    assert.equal(new URL(page.url()).origin, here);
    await page.getByRole("link", { name: "Continue with Partner" }).waitFor();
    assert.equal(await page.getByLabel("Password").count(), 0);
    await look("sign-in");
    await page.locator("#identifier:focus").waitFor();
    await page.keyboard.type(login);
    await page.keyboard.press("Enter");
    // The page leads on by itself.
    await page.waitForURL(there + "/signin/*");
    await page.getByLabel("Name or e-mail address").fill(login);
    await page.getByLabel("Password").fill(password);
    await page.keyboard.press("Enter");
    await page.waitForURL(here + "/account");
    await page.getByText(login).first().waitFor();
  } catch (failed) {
    console.error(page.url(), await page.locator("main").innerText().catch(() => "no page"));
    throw failed;
  } finally {
    assert.deepEqual(wrong, []);
    await context.close();
  }
}
await browser.close();
console.log("ok: 2 browsers");
