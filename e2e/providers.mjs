// Sign-in at another identity provider, in Chromium: by the domain of the address, without
// a password of this server. The file in the first argument says where to begin, whose
// provider it is, and who signs in.
import { readFileSync } from "node:fs";
import assert from "node:assert/strict";
import { narrow, open, wide } from "./visit.mjs";

const { start, login, password, here, there } = JSON.parse(readFileSync(process.argv[2], "utf8"));
const browser = await open({ origins: [here, there] });
for (const [name, options] of Object.entries({ wide, narrow })) {
  await browser.visit(name, options, async (page, look) => {
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
  });
}
await browser.close();
console.log("ok: 2 browsers");
