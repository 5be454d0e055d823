// Who may see and change what, tried in a browser: sessions, forms of other sites, viewers, owners,
// names that want to be more than text.
"use strict";

const VIEWER = "console-viewer-token";
const ALICE = "console-alice-token-1";

module.exports = (address, token, expect) => {
  const api = (path, options = {}, by = token) => fetch(`${address}/v1/${path}`, {
    ...options,
    headers: { authorization: `Bearer ${by}`, "content-type": "application/json" },
  });

  const signedIn = async (browser, by, options = {}) => {
    const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, ...options });
    const page = await context.newPage();
    await page.goto(`${address}/console`);
    await page.fill("#token", by);
    await page.click("button.primary");
    await page.waitForSelector("table.jobs");
    return page;
  };

  // A session is a cookie that no script reads; it is over when somebody signs out.
  async function sessions(browser) {
    const context = await browser.newContext();
    const page = await context.newPage();
    await page.goto(`${address}/console?status=failed`);
    expect(/sign-in/.test(page.url()), "a stranger sees the jobs");
    await page.fill("#token", "a-token-that-is-none");
    await page.click("button.primary");
    expect(/No such token/.test(await page.textContent("main")), "a wrong token is not refused");
    await page.fill("#token", token);
    await page.click("button.primary");
    await page.waitForSelector("table.jobs");
    const [cookie] = await context.cookies();
    expect(cookie.httpOnly && cookie.sameSite === "Strict", `the session's cookie: ${JSON.stringify(cookie)}`);
    expect(!cookie.value.includes(token), "the cookie holds the token");
    expect((await page.evaluate(() => document.cookie)) === "", "a script reads the session");
    await page.click(".who button");
    await context.addCookies([cookie]);
    await page.goto(`${address}/console`);
    expect(/sign-in/.test(page.url()), "a copy of the cookie opens after signing out");
    await context.close();
  }

  // Neither another site's form nor one without its token changes anything.
  async function forms(browser, id) {
    const page = await signedIn(browser, token);
    const bare = await page.evaluate(async (path) => {
      const answer = await fetch(path, { method: "POST", body: new URLSearchParams({ confirm: path.split("/")[3] }) });
      return answer.status;
    }, `/console/jobs/${id}/delete`);
    expect(bare === 403, `a form without its token is answered ${bare}`);
    await page.context().route("http://elsewhere.test/", (route) => route.fulfill({
      contentType: "text/html",
      body: `<form method="post" action="${address}/console/jobs/${id}/delete"><input name="confirm" value="${id}"><button>Win</button></form>`,
    }));
    await page.goto("http://elsewhere.test/");
    await page.click("button");
    await page.waitForLoadState("load");
    expect((await api(`jobs/${id}`)).status === 200, "another site's form deleted a job");
    await page.context().close();
  }

  // A viewer sees all and changes nothing, by no form either.
  async function viewers(browser, id) {
    const page = await signedIn(browser, VIEWER);
    expect(await page.locator(`#job-${id}`).count() === 1, "a viewer does not see a job");
    expect(await page.locator(".pick, .many").count() === 0, "a viewer can choose jobs");
    await page.goto(`${address}/console/jobs/${id}`);
    expect(await page.locator("form[data-act], details.delete").count() === 0, "a viewer is offered a change");
    expect(/A viewer changes nothing/.test(await page.textContent("main")), "a viewer is not told why");
    const answer = await page.evaluate(async (id) => {
      const form_token = document.querySelector("[name=form_token]").value;
      const body = new URLSearchParams({ form_token, confirm: id });
      return (await fetch(`/console/jobs/${id}/delete`, { method: "POST", body })).status;
    }, id);
    expect(answer === 403, `a viewer's form is answered ${answer}`);
    await page.context().close();
  }

  // An owner sees its own jobs, whatever address is tried.
  async function owners(browser, id) {
    const page = await signedIn(browser, ALICE);
    for (const path of ["", "?owner=local", `?text=${id}`, "?status=completed"]) {
      await page.goto(`${address}/console${path}`);
      expect(await page.locator(`#job-${id}`).count() === 0, `an owner sees another's job on the list ${path}`);
    }
    for (const path of ["", "/state", "/poster"]) {
      const answer = await page.goto(`${address}/console/jobs/${id}${path}`);
      expect(answer.status() === 404, `another owner's job${path} is answered ${answer.status()}`);
    }
    await page.goto(`${address}/console/health`);
    expect(!/What there is to do/.test(await page.textContent("main")), "an owner sees everybody's counts");
    await page.context().close();
  }

  // What somebody wrote is shown as text, however long, and moves nothing out of its place.
  async function hostile(browser) {
    const words = `<script>window.hit = 1</script>"'&amp;<img src=x onerror="window.hit=2">\u202egnp.exe ${"W".repeat(3800)}`;
    const made = await (await api("jobs", {
      method: "POST",
      body: JSON.stringify({
        kind: "extend",
        source: { video: "sources/alice/none/<b>&\"'\u202e.mp4" },
        params: { prompt: words, seconds: 5 },
      }),
    }, ALICE)).json();
    expect(made.id, `no job of hostile words: ${JSON.stringify(made)}`);
    if (!made.id) return;
    for (const width of [390, 1440]) {
      const page = await signedIn(browser, token, { viewport: { width, height: 900 } });
      for (const path of ["", "?text=%3Cscript%3E", `/jobs/${made.id}`, "/failures"]) {
        await page.goto(`${address}/console${path}`);
        const seen = await page.evaluate(() => ({
          hit: window.hit,
          wide: document.documentElement.scrollWidth,
          text: document.querySelector("main").textContent,
          made: document.querySelectorAll("main img[src=x], main b:not([class])").length,
        }));
        expect(seen.hit === undefined, `words ran as a script on ${path}`);
        expect(seen.wide <= width, `${path}: ${seen.wide} px wide in a window of ${width} with long words`);
        if (path !== "/failures") expect(seen.text.includes("<script>window.hit = 1</script>"), `words are not shown on ${path}`);
      }
      await page.context().close();
    }
    await api(`jobs/${made.id}`, { method: "DELETE" });
  }

  return async (browser, id) => {
    await sessions(browser);
    await forms(browser, id);
    await viewers(browser, id);
    await owners(browser, id);
    await hostile(browser);
  };
};
