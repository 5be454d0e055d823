// Opens every page of a running console in Chromium, in both themes and two widths: looks for what
// axe-core finds serious, for errors of scripts, for pages wider than the window, and takes a picture
// of each. Then walks through what a person does.
//
// node run.js ADDRESS TOKEN FOLDER CHROMIUM CLIP SANDBOX
"use strict";
const fs = require("fs");
const path = require("path");
const home = process.env.CONSOLE_MODULES;
const { chromium } = require(path.join(home, "playwright-core"));
const axe = fs.readFileSync(path.join(home, "axe-core", "axe.min.js"), "utf8");

const [, , address, token, folder, executablePath, clip, sandbox] = process.argv;
const WIDTHS = [390, 1440];
const THEMES = ["light", "dark"];
const found = [];

function expect(fits, what) {
  if (!fits) found.push(what);
}
const guards = require("./guards.js")(address, token, expect);
const follows = require("./follows.js")(address, token, sandbox, { expect, signedIn, judge });

async function signedIn(browser, options) {
  // axe-core is put into the page, which the console's own policy forbids.
  const context = await browser.newContext({ bypassCSP: true, ...options });
  const page = await context.newPage();
  page.on("pageerror", (error) => found.push(`script: ${error}`));
  page.on("console", (line) => {
    if (line.type() === "error" && !/status of 40[0-9]/.test(line.text())) found.push(`console: ${line.text()}`);
  });
  await page.goto(`${address}/console`);
  if (await page.locator("#token").count()) {
    await page.fill("#token", token);
    await page.click("button.primary");
  }
  await page.waitForSelector("table.jobs");
  return page;
}

async function judge(page, name, width) {
  await page.waitForLoadState("load");
  await page.screenshot({ path: path.join(folder, `${name}.png`), fullPage: true });
  const wide = await page.evaluate(() => document.documentElement.scrollWidth);
  expect(wide <= width, `${name}: ${wide} px wide in a window of ${width}`);
  await page.evaluate(axe);
  const result = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  for (const violation of result.violations) {
    if (!["serious", "critical"].includes(violation.impact)) continue;
    const where = violation.nodes.slice(0, 3).map((node) => node.target.join(" ")).join("; ");
    found.push(`${name}: ${violation.id} (${violation.impact}): ${violation.help}: ${where}`);
  }
}

async function looks(browser, pages) {
  for (const width of WIDTHS) {
    for (const colorScheme of THEMES) {
      const page = await signedIn(browser, { viewport: { width, height: width < 600 ? 844 : 900 }, colorScheme });
      for (const [name, to] of pages) {
        await page.goto(address + to);
        // Videos show their first picture.
        await page.waitForTimeout(to.includes("/jobs/") ? 700 : 200);
        await judge(page, `${name}-${width}-${colorScheme}`, width);
      }
      await page.context().close();
    }
  }
}

// The pages are whole without scripts.
async function plain(browser, pages) {
  const context = await browser.newContext({ javaScriptEnabled: false, viewport: { width: 1440, height: 900 } });
  const page = await context.newPage();
  await page.goto(`${address}/console`);
  if (await page.locator("#token").count()) {
    await page.fill("#token", token);
    await page.click("button.primary");
  }
  for (const [name, to] of pages) {
    const answer = await page.goto(address + to);
    expect(answer.ok(), `${name} without scripts: ${answer.status()}`);
    expect(await page.locator("h1").isVisible(), `${name} without scripts has no heading`);
  }
  await context.close();
}

// A row changes while it is looked at, under the console's own policy.
async function lives(browser) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
  const page = await context.newPage();
  const refused = [];
  page.on("console", (line) => {
    if (/Content Security Policy/.test(line.text())) refused.push(line.text());
  });
  await page.goto(`${address}/console`);
  if (await page.locator("#token").count()) {
    await page.fill("#token", token);
    await page.click("button.primary");
  }
  await page.waitForSelector("[data-live-state]:not([hidden])", { timeout: 10000 });
  const before = await page.locator("tr.job").count();
  const made = await fetch(`${address}/v1/jobs`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: JSON.stringify({ kind: "upscale", source: { video: "sources/local/missing/clip.mp4" } }),
  });
  expect(made.status === 201, `a job could not be made: ${made.status} ${await made.text()}`);
  await page.waitForFunction((before) => document.querySelectorAll("tr.job").length > before, before, { timeout: 10000 });
  // Its input is not there: it fails, and the row says so by itself.
  await page.waitForFunction(() => /Failed/.test(document.querySelector("tr.job .pill").textContent), null, { timeout: 20000 });
  await page.keyboard.press("j");
  expect(await page.locator("tr.chosen").count() === 1, "j chooses no job");
  await page.keyboard.press("/");
  expect(await page.evaluate(() => document.activeElement.id) === "text", "/ does not lead to the search");
  await page.keyboard.press("Tab");
  await page.locator("h1").click();
  await page.keyboard.press("?");
  expect(await page.locator("dialog#keys[open]").count() === 1, "? opens no list of keys");
  await page.keyboard.press("Escape");
  await page.keyboard.press("k");
  await page.keyboard.press("Enter");
  await page.waitForURL(/console\/jobs\//);
  expect(/source_missing/.test(await page.textContent("main")), "the page does not say why the job failed");
  expect(refused.length === 0, `the policy refused: ${refused[0]}`);
  // Deleting asks for the id.
  const id = page.url().split("/").pop();
  await page.click("details.delete summary");
  await page.fill("#confirm", id);
  await page.click("button.danger");
  await page.waitForURL(/console$/);
  const gone = await page.goto(`${address}/console/jobs/${id}`);
  expect(gone.status() === 404, "the job was not deleted");
  await context.close();
}

// Several jobs at once: retried, and deleted once that was written.
async function many(browser) {
  const page = await signedIn(browser, { viewport: { width: 1440, height: 900 } });
  const made = [];
  for (let number = 0; number < 3; number += 1) {
    const answer = await fetch(`${address}/v1/jobs`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      body: JSON.stringify({ kind: "upscale", source: { video: `sources/local/missing/${number}.mp4` } }),
    });
    made.push((await answer.json()).id);
  }
  const failed = async () => {
    for (let tries = 0; tries < 100; tries += 1) {
      const all = await Promise.all(made.map(async (id) => {
        const answer = await fetch(`${address}/v1/jobs/${id}`, { headers: { authorization: `Bearer ${token}` } });
        return (await answer.json()).status;
      }));
      if (all.every((status) => status === "failed")) return;
      await page.waitForTimeout(200);
    }
    expect(false, "the jobs do not fail");
  };
  await failed();
  const choose = async () => {
    await page.goto(`${address}/console`);
    for (const id of made) await page.check(`#job-${id} .pick input`);
  };
  await choose();
  await page.click(".many button[value=retry]");
  await page.waitForSelector(".ids");
  expect((await page.locator(".ids li").filter({ hasText: "begins another round" }).count()) === 3, "not all were retried");
  await judge(page, "many-1440-light", 1440);
  await failed();
  await choose();
  await page.click(".many button[value=delete]");
  await page.fill("#confirm", "delete 3");
  await judge(page, "many-delete-1440-light", 1440);
  await page.click("button.danger");
  await page.waitForSelector("text=is deleted");
  const gone = await page.goto(`${address}/console/jobs/${made[0]}`);
  expect(gone.status() === 404, "a job of many was not deleted");
  await page.context().close();
}

// The strip below the player leads to its moments.
async function leads(browser, id) {
  const page = await signedIn(browser, { viewport: { width: 1440, height: 900 } });
  await page.goto(`${address}/console/jobs/${id}`);
  const tiles = page.locator(".strip a");
  const count = await tiles.count();
  expect(count > 1, `the strip has ${count} tiles`);
  await page.waitForFunction(() => document.querySelector(".after video").readyState > 0);
  // What is played is signed, and the browser does not mind.
  const told = await fetch(`${address}/v1/jobs/${id}`, { headers: { Authorization: `Bearer ${token}` } });
  const { result } = await told.json();
  expect(result.provenance.signed === true, `the result is not signed: ${JSON.stringify(result.provenance)}`);
  const played = await page.evaluate(async () => {
    const video = document.querySelector(".after video");
    const done = new Promise((ended) => video.addEventListener("ended", ended, { once: true }));
    video.muted = true;
    await video.play();
    await done;
    return { error: video.error, at: video.currentTime, of: video.duration };
  });
  expect(!played.error && played.of > 0 && played.at >= played.of, `the result does not play: ${JSON.stringify(played)}`);
  const last = tiles.nth(count - 1);
  const at = Number(await last.getAttribute("data-at"));
  await last.click();
  await page.waitForFunction((at) => Math.abs(document.querySelector(".after video").currentTime - at) < 0.1, at);
  await page.waitForSelector(".strip li:last-child a[aria-current]");
  const shown = await page.evaluate(async () => {
    const sprite = new Image();
    sprite.src = document.querySelector("#sprite").getAttribute("href");
    await sprite.decode();
    return sprite.naturalWidth;
  });
  expect(shown > 0, "the sprite does not load");
  await page.context().close();
}

// Drops the clip where a person would.
async function drops(page) {
  const file = await page.evaluateHandle(([name, content]) => {
    const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
    const transfer = new DataTransfer();
    transfer.items.add(new File([bytes], name, { type: "video/mp4" }));
    return transfer;
  }, [path.basename(clip), fs.readFileSync(clip, "base64")]);
  await page.dispatchEvent(".dropzone", "drop", { dataTransfer: file });
  expect(await page.evaluate(() => document.querySelector("#video").files.length) === 1, "a file that was dropped is not taken");
}

// Before and after play in step, the line between them moves, and sound is of one of them.
async function compares(page) {
  await page.waitForSelector(".compare.slide .split");
  const seen = await page.evaluate(async () => {
    const [before, after] = document.querySelectorAll(".compare video");
    const split = document.querySelector(".split");
    split.value = 20;
    split.dispatchEvent(new Event("input"));
    const sound = document.querySelector(".player select");
    sound.value = "before";
    sound.dispatchEvent(new Event("change"));
    const heard = [before.muted, after.muted];
    sound.value = "";
    sound.dispatchEvent(new Event("change"));
    after.currentTime = 0.2;
    document.querySelector(".player button").click();
    await new Promise((done) => setTimeout(done, 900));
    const at = [before.currentTime, after.currentTime];
    after.pause();
    return { split: document.querySelector(".compare").style.getPropertyValue("--split"), heard, at };
  });
  expect(seen.split === "20%", `the line stands at ${seen.split}`);
  expect(!seen.heard[0] && seen.heard[1], "the sound is not taken from before");
  expect(seen.at[1] > 0.3 && Math.abs(seen.at[0] - seen.at[1]) < 0.25, `before and after are out of step: ${seen.at}`);
  expect((await page.locator("#done ~ .columns tbody tr").count()) > 9, "the figures of the videos are not told");
}

// A person drops a clip, sees the price and the mark, makes a job of it, sees it refused and why,
// retries, looks at the result, deletes it.
async function makes(browser) {
  for (const [width, colorScheme] of [[390, "dark"], [1440, "light"]]) {
    const page = await signedIn(browser, { viewport: { width, height: 900 }, colorScheme });
    await page.goto(`${address}/console/new`);
    await drops(page);
    await page.click("button.primary");
    await page.waitForURL(/video=sources/);
    await page.click("button[value=upscale]");
    await page.waitForSelector("#resolution");
    await page.selectOption("#resolution", "1080p");
    await page.selectOption("#label", "own");
    await page.fill("#label_words", "Made by AI & <@maker>");
    await page.click("button.primary");
    await page.waitForSelector(".price", { timeout: 30000 });
    const mark = await page.evaluate(async () => {
      const image = document.querySelector(".framed svg image");
      if (!image) return null;
      const picture = new Image();
      picture.src = image.getAttribute("href");
      await picture.decode();
      const box = image.getBoundingClientRect();
      const video = document.querySelector(".framed video").getBoundingClientRect();
      return box.width > 10 && box.right <= video.right && box.bottom <= video.bottom && box.left > video.left + video.width / 2;
    });
    expect(mark, "the mark is not where it belongs");
    const label = await page.evaluate(async () => {
      const image = [...document.querySelectorAll(".framed svg image")].pop();
      const picture = new Image();
      picture.src = image.getAttribute("href");
      await picture.decode();
      const box = image.getBoundingClientRect();
      const video = document.querySelector(".framed video").getBoundingClientRect();
      return picture.naturalWidth > 0 && box.left >= video.left && box.top >= video.top
        && box.top < video.top + video.height / 4 && box.height >= 0.05 * Math.min(video.width, video.height) - 1;
    });
    expect(label, "the label is not where it belongs");
    await page.waitForTimeout(500);
    await judge(page, `price-${width}-${colorScheme}`, width);
    if (width > 600) {
      await fetch(`${sandbox}/sandbox/faults`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ fault: "refuse_content" }),
      });
      await page.click(".price button.primary");
      await page.waitForURL(/console\/jobs\//);
      await page.waitForSelector("#why", { timeout: 30000 });
      expect(/content_refused/.test(await page.textContent("#why")), "it does not say why it failed");
      await judge(page, `refused-${width}-${colorScheme}`, width);
      await fetch(`${sandbox}/sandbox/faults`, { method: "DELETE" });
      await page.click("form[data-act=retry] button");
      await page.waitForSelector(".pill.completed", { timeout: 90000 });
      expect((await page.locator(".waterfall tbody tr").count()) > 3, "it does not say what happened when");
      expect((await page.locator(".strip a").count()) > 1, "the result has no strip");
      await compares(page);
      const id = page.url().split("/").pop();
      await page.click("details.delete summary");
      await page.fill("#confirm", id);
      await page.click("button.danger");
      await page.waitForURL(/console$/);
      expect((await page.goto(`${address}/console/jobs/${id}`)).status() === 404, "a job of a person was not deleted");
    }
    await page.context().close();
  }
}

(async () => {
  const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
  const jobs = await fetch(`${address}/v1/jobs?limit=100`, { headers: { authorization: `Bearer ${token}` } });
  const listed = (await jobs.json()).jobs;
  const done = listed.find((job) => job.status === "completed" && job.kind === "upscale") || listed.find((job) => job.status === "completed");
  const failed = listed.find((job) => job.status === "failed");
  const pages = [["jobs", "/console"], ["none", "/console?status=cancelled"], ["missing", "/console/nothing"],
    ["filters", "/console?owner=local&code=unsupported_format"], ["sign-in", "/console/sign-in"]];
  if (done) pages.push(["job", `/console/jobs/${done.id}`]);
  if (failed) pages.push(["failed", `/console/jobs/${failed.id}`]);
  for (const extra of (process.env.CONSOLE_PAGES || "failures money health new").split(" ")) {
    pages.push([extra, `/console/${extra}`]);
  }
  await lives(browser);
  await makes(browser);
  await many(browser);
  if (done) {
    await leads(browser, done.id);
    await guards(browser, done.id);
    await follows(browser, done.id);
  }
  await looks(browser, pages);
  await plain(browser, pages.filter(([name]) => name !== "missing"));
  await browser.close();
  for (const line of found) console.error(`console: ${line}`);
  console.log(`console: ${pages.length} pages, ${WIDTHS.length} widths, ${THEMES.length} themes, ${found.length} findings; pictures in ${folder}`);
  process.exit(found.length ? 1 : 0);
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
