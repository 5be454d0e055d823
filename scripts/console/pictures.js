// Watches a job in Chromium from its beginning to its end, for the pictures of the README.
//
// node pictures.js ADDRESS TOKEN FOLDER CHROMIUM
"use strict";
const fs = require("fs");
const path = require("path");
const { chromium } = require(path.join(process.env.CONSOLE_MODULES, "playwright-core"));

const [, , address, token, folder, executablePath] = process.argv;
const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
// How long a moment may go on, and how many there may be.
const STEP = 700;
const MOST = 200;

(async () => {
  const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
  const page = await browser.newPage({ viewport: { width: 1140, height: 860 }, colorScheme: "dark" });
  await page.goto(`${address}/console`);
  await page.fill("#token", token);
  await page.click("button.primary");
  await page.waitForSelector("table.jobs");

  const listed = await (await fetch(`${address}/v1/jobs?limit=10`, { headers })).json();
  const source = listed.jobs.find((job) => job.kind === "extend").source.video;
  const body = JSON.stringify({ kind: "upscale", source: { video: source }, params: { target: "720p" } });
  const made = await (await fetch(`${address}/v1/jobs`, { method: "POST", headers, body })).json();
  fs.writeFileSync(path.join(folder, "upscale"), made.id);
  await page.goto(`${address}/console/jobs/${made.id}`);

  const frames = [];
  const shoot = async (seconds) => {
    const name = `frame-${String(frames.length).padStart(3, "0")}.png`;
    const file = path.join(folder, name);
    await page.screenshot({ path: file });
    const last = frames.at(-1);
    // A moment like the one before is that one, for a while longer.
    if (last && fs.readFileSync(file).equals(fs.readFileSync(path.join(folder, last.name)))) {
      last.seconds = Math.min(last.seconds + seconds, 1.2);
      fs.rmSync(file);
    } else {
      frames.push({ name, seconds });
    }
  };
  for (let tries = 0; tries < MOST; tries += 1) {
    await shoot(0.35);
    if (await page.locator(".pill.completed").count()) break;
    await page.waitForTimeout(STEP);
  }
  await page.waitForFunction(() => document.querySelector(".after video")?.readyState > 1, null, { timeout: 20000 });
  const tiles = page.locator(".strip a");
  await tiles.nth(Math.floor((await tiles.count()) / 2)).click();
  await page.waitForTimeout(900);
  await page.evaluate(() => window.scrollTo(0, 110));
  await page.waitForTimeout(200);
  await shoot(1);
  for (const split of [40, 30, 20, 35, 50, 65, 80, 65, 50]) {
    await page.locator(".split").evaluate((range, to) => {
      range.value = to;
      range.dispatchEvent(new Event("input"));
    }, split);
    await page.waitForTimeout(120);
    await shoot(0.2);
  }
  await shoot(1.5);
  const lines = frames.map(({ name, seconds }) => `file '${name}'\nduration ${seconds}`);
  // The last one's duration counts only where something follows.
  fs.writeFileSync(path.join(folder, "frames.txt"), `${lines.join("\n")}\nfile '${frames.at(-1).name}'\n`);

  await page.setViewportSize({ width: 1140, height: 1010 });
  await page.evaluate(() => window.scrollTo(0, 0));
  await page.emulateMedia({ colorScheme: "light" });
  await page.waitForTimeout(300);
  await page.screenshot({ path: path.join(folder, "job.png") });
  await page.setViewportSize({ width: 1140, height: 620 });
  await page.goto(`${address}/console`);
  await page.waitForTimeout(1000);
  await page.screenshot({ path: path.join(folder, "jobs.png") });
  await browser.close();
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
