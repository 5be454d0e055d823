// Small islands over pages that are whole without them. No inline script, nothing from elsewhere.
"use strict";
(() => {
  const $ = (selector, root = document) => root.querySelector(selector);
  const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];

  // The list follows the service while somebody looks: the stream is closed in a hidden tab, and
  // new rows wait while the page is scrolled.
  const live = $("#live");
  if (live) {
    const model = live.cloneNode(true);
    const sign = $("[data-live-state]");
    const fresh = $("[data-fresh]");
    let source = live;
    let waiting = 0;
    const say = (state) => {
      sign.hidden = false;
      sign.textContent = state;
      sign.classList.toggle("paused", state !== "live");
    };
    document.addEventListener("htmx:sseOpen", () => say("live"));
    document.addEventListener("htmx:sseError", () => say("reconnecting"));
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) {
        htmx.remove(source);
        say("paused");
      } else {
        source = model.cloneNode(true);
        document.body.append(source);
        htmx.process(source);
      }
    });
    document.addEventListener("htmx:oobBeforeSwap", (event) => {
      const { target, fragment } = event.detail;
      if (target.id !== "rows") return;
      const row = fragment.querySelector ? fragment.querySelector("tr") : null;
      const known = row && document.getElementById(row.id);
      if (known || window.scrollY > 240) {
        event.detail.shouldSwap = false;
        if (!known) {
          waiting += 1;
          fresh.hidden = false;
          fresh.replaceChildren(`${waiting} new ${waiting === 1 ? "job" : "jobs"}: `);
          const show = document.createElement("a");
          show.href = location.href;
          show.textContent = "show";
          fresh.append(show);
        }
      } else {
        $(".empty")?.remove();
      }
    });
  }
  // What was chosen stays so when its row is drawn anew.
  let picked = new Set();
  document.addEventListener("htmx:sseBeforeMessage", () => {
    picked = new Set($$(".pick input:checked").map((box) => box.value));
  });
  document.addEventListener("htmx:oobAfterSwap", () => {
    for (const box of $$(".pick input")) if (picked.has(box.value)) box.checked = true;
  });
  // What goes on in a job is drawn anew, but not under somebody who reads or stands in it; what was
  // moved sideways stays there.
  const moved = new Map();
  document.addEventListener("htmx:oobBeforeSwap", (event) => {
    const { target } = event.detail;
    if (!target.matches(".going")) return;
    const read = getSelection();
    if (target.contains(document.activeElement) || (!read.isCollapsed && target.contains(read.anchorNode))) {
      event.detail.shouldSwap = false;
    }
    for (const box of $$(".scrolls", target)) moved.set(box.getAttribute("aria-label"), box.scrollLeft);
  });
  document.addEventListener("htmx:oobAfterSwap", () => {
    for (const box of $$(".going .scrolls")) box.scrollLeft = moved.get(box.getAttribute("aria-label")) || 0;
  });
  // A page that nobody sees asks nothing.
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (document.hidden) event.preventDefault();
  });

  // Ages grow while the page stands.
  const age = (seconds) =>
    seconds < 5 ? "now"
      : seconds < 60 ? `${Math.floor(seconds)} s ago`
      : seconds < 3600 ? `${Math.floor(seconds / 60)} min ago`
      : seconds < 86400 ? `${Math.floor(seconds / 3600)} h ago`
      : `${Math.floor(seconds / 86400)} d ago`;
  setInterval(() => {
    if (document.hidden) return;
    for (const time of $$("td > time:not([data-exact])")) {
      const past = (Date.now() - Date.parse(time.dateTime)) / 1000;
      if (past >= 0) time.textContent = age(past);
    }
  }, 10000);

  // Keys.
  const keys = $("#keys");
  const help = $("[data-keys]");
  if (help) {
    help.hidden = false;
    help.addEventListener("click", () => keys.showModal());
  }
  const chosen = () => $("tr.chosen");
  const choose = (step) => {
    const rows = $$("tr.job");
    if (!rows.length) return;
    const at = rows.indexOf(chosen());
    const next = rows[Math.max(0, Math.min(rows.length - 1, at < 0 ? 0 : at + step))];
    chosen()?.classList.remove("chosen");
    next.classList.add("chosen");
    $(".open", next).focus();
    next.scrollIntoView({ block: "nearest" });
  };
  const act = (what) => {
    const own = $(`form[data-act="${what}"]`);
    if (own) {
      if (confirm(`${what === "retry" ? "Retry" : "Cancel"} this job?`)) own.requestSubmit();
      return;
    }
    const row = chosen();
    const form = $("#act");
    if (!row || !form) return;
    if (row.dataset.can !== what) {
      alert(what === "retry" ? "Only a job that failed or was cancelled is retried." : "The job has ended.");
      return;
    }
    if (!confirm(`${what === "retry" ? "Retry" : "Cancel"} job ${row.dataset.job}?`)) return;
    form.action = `/console/jobs/${row.dataset.job}/${what}`;
    form.submit();
  };
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, select, textarea, video, dialog, summary");
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    const does = {
      j: () => choose(1),
      k: () => choose(-1),
      r: () => act("retry"),
      c: () => act("cancel"),
      "/": () => $("input[type=search]")?.focus(),
      "?": () => keys.showModal(),
    }[event.key];
    if (does) {
      event.preventDefault();
      does();
    }
  });

  // Before and after: two players in step, one over the other, with a line to draw between them.
  for (const box of $$("[data-compare]")) {
    const before = $(".before video", box);
    const after = $(".after video", box);
    if (!before || !after) continue;
    const make = (tag, props = {}, ...children) => {
      const made = Object.assign(document.createElement(tag), props);
      made.append(...children);
      return made;
    };
    const bar = make("div", { className: "player" });
    const play = make("button", { type: "button", textContent: "Play" });
    const time = make("input", { type: "range", min: 0, max: 1000, value: 0, step: 1 });
    time.setAttribute("aria-label", "Position");
    const clock = make("span", { className: "num muted small" });
    const split = make("input", { type: "range", min: 0, max: 100, value: 50, className: "split" });
    split.setAttribute("aria-label", "Line between before and after");
    const sound = make("select", {}, new Option("Sound: after", "after"), new Option("Sound: before", "before"), new Option("No sound", ""));
    sound.setAttribute("aria-label", "Sound");
    sound.value = "after";
    const apart = make("button", { type: "button", textContent: "Side by side" });
    apart.setAttribute("aria-pressed", "false");
    const line = make("span", { className: "line" });
    line.setAttribute("aria-hidden", "true");
    bar.append(play, time, clock, sound, apart);
    box.classList.add("slide");
    box.append(line, split);
    box.after(bar);
    const place = () => box.style.setProperty("--split", `${split.value}%`);
    split.addEventListener("input", place);
    place();
    for (const video of [before, after]) {
      video.controls = false;
      video.removeAttribute("tabindex");
    }
    const shape = () => {
      if (after.videoWidth) box.style.setProperty("--shape", `${after.videoWidth} / ${after.videoHeight}`);
    };
    after.addEventListener("loadedmetadata", shape);
    shape();
    const told = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
    const follow = () => {
      const at = Math.min(after.currentTime, before.duration || 0);
      if (Math.abs(before.currentTime - at) > 0.06) before.currentTime = at;
    };
    const show = () => {
      const length = after.duration || 0;
      clock.textContent = `${told(after.currentTime)} / ${told(length)}`;
      if (length && document.activeElement !== time) time.value = (after.currentTime / length) * 1000;
    };
    const voice = () => {
      after.muted = sound.value !== "after";
      before.muted = sound.value !== "before";
    };
    sound.addEventListener("change", voice);
    voice();
    play.addEventListener("click", () => (after.paused ? after.play() : after.pause()));
    after.addEventListener("play", () => {
      play.textContent = "Pause";
      follow();
      if (after.currentTime < before.duration) before.play();
    });
    after.addEventListener("pause", () => {
      play.textContent = "Play";
      before.pause();
      follow();
    });
    after.addEventListener("ended", () => (play.textContent = "Play"));
    after.addEventListener("timeupdate", () => {
      show();
      follow();
    });
    after.addEventListener("seeked", follow);
    after.addEventListener("loadedmetadata", show);
    show();
    time.addEventListener("input", () => {
      after.currentTime = (time.value / 1000) * (after.duration || 0);
    });
    apart.addEventListener("click", () => {
      const on = box.classList.toggle("slide");
      apart.setAttribute("aria-pressed", String(!on));
    });
    $(".after figcaption", box).dataset.chip = "";
    // The poster stands for a moment within the video; the source shows the same one.
    before.addEventListener("loadedmetadata", follow, { once: true });
    const moment = Number(box.dataset.compare) || 0;
    after.addEventListener("loadedmetadata", () => (after.currentTime = moment), { once: true });
    if (after.readyState) after.currentTime = moment;
    after.removeAttribute("poster");
  }

  // The strip leads to its moments, and shows where the player is. Without this its links open the
  // video there.
  for (const strip of $$(".strip")) {
    const player = $(".after video");
    const tiles = $$("a[data-at]", strip);
    if (!player) continue;
    for (const tile of tiles) {
      tile.addEventListener("click", (event) => {
        event.preventDefault();
        player.currentTime = Number(tile.dataset.at);
      });
    }
    const show = () => {
      // A player stands on the picture before a moment that is not exact.
      const at = tiles.findLast((tile) => Number(tile.dataset.at) <= player.currentTime + 0.02) || tiles[0];
      if (!at || at.hasAttribute("aria-current")) return;
      $("[aria-current]", strip)?.removeAttribute("aria-current");
      at.setAttribute("aria-current", "true");
      strip.scrollLeft = at.parentElement.offsetLeft - strip.offsetLeft - strip.clientWidth / 2;
    };
    player.addEventListener("timeupdate", show);
    player.addEventListener("seeked", show);
  }

  // What the browser cannot play is said, instead of a black box.
  for (const video of $$("video")) {
    const gone = () => {
      const note = document.createElement("p");
      note.className = "muted";
      note.textContent = "This browser cannot play it, or it is not there any more.";
      video.replaceWith(note);
    };
    if (video.error) gone();
    else video.addEventListener("error", gone);
  }

  // A file that was dropped is named.
  for (const zone of $$(".dropzone")) {
    const input = $("input", zone);
    for (const kind of ["dragover", "dragleave", "drop"]) {
      zone.addEventListener(kind, (event) => {
        event.preventDefault();
        zone.classList.toggle("over", kind === "dragover");
        if (kind === "drop" && event.dataTransfer.files.length) input.files = event.dataTransfer.files;
      });
    }
  }
})();
