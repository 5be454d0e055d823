// The page of a job that runs: what happens to it and what it costs is drawn anew while somebody looks,
// not oftener than once a second, not in a hidden tab, and not under somebody who stands in it.
"use strict";

module.exports = (address, token, sandbox, { expect, signedIn, judge }) => async (browser, id) => {
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  const { source } = await (await fetch(`${address}/v1/jobs/${id}`, { headers })).json();
  // Longer than two looks, and so that it goes on for another one.
  await fetch(`${sandbox}/sandbox/faults`, { method: "POST", headers, body: JSON.stringify({ fault: "answer_late", ms: 5000 }) });
  const body = JSON.stringify({ kind: "upscale", source: { video: source.video }, params: { target: "720p" } });
  const page = await signedIn(browser, { viewport: { width: 1440, height: 900 } });
  const phone = await signedIn(browser, { viewport: { width: 390, height: 844 } });
  const made = await (await fetch(`${address}/v1/jobs`, { method: "POST", headers, body })).json();
  const asked = [];
  page.on("request", (request) => {
    if (request.url().endsWith("/state")) asked.push(Date.now());
  });
  const hide = (hidden) => page.evaluate((hidden) => {
    Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
  }, hidden);
  await page.goto(`${address}/console/jobs/${made.id}`);
  await page.evaluate(() => { window.stayed = 1; });
  expect(/Checking and submitting/.test(await page.textContent("tr.now")), "what happens now is not marked");
  // Who has it is on the page of health.
  await phone.goto(`${address}/console/health`);
  const held = await phone.textContent("[aria-labelledby=leases]");
  expect(/1 lease, 0 overdue/.test(held) && held.includes(made.id) && /this process/.test(held), `health does not say who holds the job: ${held}`);
  await judge(phone, "health-held-390-light", 390);
  await judge(page, "running-1440-light", 1440);
  await phone.context().close();
  // Whoever stands in a table keeps it.
  await page.evaluate(() => {
    const box = document.querySelector("[aria-label='What happened when']");
    box.focus();
    box.mark = 1;
  });
  await page.waitForResponse((answer) => answer.url().endsWith("/state"));
  await page.waitForTimeout(100);
  expect(await page.evaluate(() => document.activeElement.mark === 1), "a table was drawn anew under somebody");
  await page.evaluate(() => document.activeElement.blur());
  const followed = await page.waitForFunction(() => {
    const money = document.querySelector("[aria-labelledby=money]").textContent;
    const now = document.querySelector("tr.now");
    return window.stayed === 1 && /taken/.test(money) && now && !/Checking/.test(now.textContent);
  }, null, { timeout: 15000 }).catch(() => null);
  expect(followed, "money and bars do not follow while the job runs");
  // Nobody looks.
  await hide(true);
  const before = asked.length;
  await page.waitForTimeout(2500);
  expect(asked.length === before, "a hidden page asks on");
  await hide(false);
  await page.waitForSelector(".pill.completed", { timeout: 60000 });
  expect((await page.evaluate(() => window.stayed)) === undefined, "the page of an ended job is not loaded anew");
  const gaps = asked.slice(1).map((at, number) => at - asked[number]);
  expect(gaps.every((gap) => gap > 1000), `the page asks each ${Math.min(...gaps)} ms`);
  await page.context().close();
  await fetch(`${address}/v1/jobs/${made.id}`, { method: "DELETE", headers });
};
