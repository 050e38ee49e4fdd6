// What makes work faster where there is JavaScript. Every page does its work without it.
import { clock } from "./clock.js";

// Keyboard: j k move, Enter opens, c claims, / searches, ? explains.
const rows = () => [...document.querySelectorAll("[data-row]")];
let at = -1;

function move(step) {
  const all = rows();
  if (!all.length) return;
  at = Math.max(0, Math.min(all.length - 1, at + step));
  all.forEach((row, n) => row.classList.toggle("chosen", n === at));
  all[at].querySelector("a")?.focus();
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select, [contenteditable]")) return;
  const keys = {
    j: () => move(1),
    k: () => move(-1),
    c: () => rows()[at]?.querySelector("[data-claim] button")?.click(),
    "/": () => document.querySelector("[data-search]")?.focus(),
    n: () => document.querySelector("[data-new]")?.focus(),
    "?": () => document.querySelector("#keys")?.showModal(),
  };
  if (keys[event.key]) {
    event.preventDefault();
    keys[event.key]();
  }
});
document.querySelectorAll("[data-close]").forEach((one) => one.addEventListener("click", () => one.closest("dialog").close()));

// A form is sent once: the second click of a double click does nothing. The server holds to it anyway.
document.querySelectorAll("form").forEach((form) =>
  form.addEventListener("submit", () => setTimeout(() => form.querySelectorAll("button").forEach((one) => (one.disabled = true))))
);
window.addEventListener("pageshow", () => document.querySelectorAll("form button").forEach((one) => (one.disabled = false)));

// The error summary takes the focus, so that it is read first.
document.querySelector("[data-summary]")?.focus();

// Half-done entries are kept: every ten seconds and on leaving a field, where something changed.
const form = document.querySelector("form[data-draft]");
if (form) {
  const note = document.querySelector("#draft-note");
  const read = () => new URLSearchParams(new FormData(form)).toString();
  let kept = read();
  let sent = false;
  form.addEventListener("submit", () => (sent = true));
  const keep = async () => {
    const now = read();
    if (now === kept || sent) return;
    kept = now;
    try {
      const answer = await fetch(form.dataset.draft, {
        method: "POST",
        body: new URLSearchParams(now),
        headers: { Accept: "application/json" },
        credentials: "same-origin",
      });
      if (note) note.textContent = answer.ok ? `${note.dataset.sayKept} ${clock()}` : note.dataset.sayLost;
    } catch {
      kept = ""; // try again with the next change
      if (note) note.textContent = note.dataset.sayAway;
    }
  };
  form.addEventListener("focusout", keep);
  setInterval(keep, 10000);
}

// A part that changes by itself is asked for again, but never under somebody's hands.
const inHand = (part) => part.contains(document.activeElement) || part.querySelector("details[open]");

async function anew(headers = {}) {
  const answer = await fetch(location.href, { credentials: "same-origin", headers });
  if (!answer.ok || answer.redirected) throw new Error(answer.statusText); // signed out, or the server is away
  return new DOMParser().parseFromString(await answer.text(), "text/html");
}

document.querySelectorAll("[data-live]").forEach((part, n) => {
  if (part.dataset.live === "0") return; // it is over, and stays as it is
  const timer = setInterval(async () => {
    if (document.hidden || inHand(part)) return;
    try {
      const next = (await anew({ "DAMS-Unattended": "yes" })).querySelectorAll("[data-live]")[n];
      if (!next || inHand(part)) return;
      part.innerHTML = next.innerHTML;
      if (next.dataset.live === "0") clearInterval(timer);
    } catch {
      part.dataset.lost = "yes"; // the time above says how old the figures are
    }
  }, part.dataset.live * 1000);
});

// A page that follows a case is told when there is something new, and asks for it. What somebody holds waits for them.
document.querySelectorAll("[data-follow]").forEach((page) => {
  const said = page.querySelector("[data-followed]");
  const say = (word) => said && (said.textContent = `${word} ${clock()}`);
  let again = null;
  const renew = async () => {
    clearTimeout(again);
    try {
      const next = await anew({ "DAMS-Unattended": "yes" });
      let held = false;
      for (const part of page.querySelectorAll("[data-part]")) {
        const other = next.querySelector(`[data-part="${part.dataset.part}"]`);
        if (!other) continue;
        if (inHand(part)) held = true;
        else if (part.innerHTML !== other.innerHTML) part.innerHTML = other.innerHTML;
      }
      for (const box of page.querySelectorAll("[data-xml]")) {
        const other = next.querySelector("[data-xml]");
        if (other) Object.assign(box.dataset, { done: other.dataset.done, current: other.dataset.current, trouble: other.dataset.trouble });
        box.dispatchEvent(new Event("progress"));
      }
      say(said?.dataset.sayLive);
      if (held) again = setTimeout(renew, 3000);
    } catch {
      say(said?.dataset.sayLost);
    }
  };
  const stream = new EventSource(page.dataset.follow);
  stream.addEventListener("open", () => say(said?.dataset.sayLive));
  stream.addEventListener("change", renew);
  stream.addEventListener("error", () => {
    say(said?.dataset.sayLost);
    if (stream.readyState === EventSource.CLOSED) setInterval(() => document.hidden || renew(), 10000);
  });
});

// Choices: more are looked for while somebody types; what depends on a field is shown anew when that field changes.
document.querySelectorAll("input[data-find]").forEach((input) => {
  let asked = 0;
  input.addEventListener("input", () => {
    const mine = ++asked;
    setTimeout(async () => {
      if (mine !== asked) return;
      try {
        const answer = await fetch(`${input.dataset.find}&search=${encodeURIComponent(input.value)}`, { credentials: "same-origin" });
        if (!answer.ok || mine !== asked) return;
        const found = await answer.json();
        input.list.replaceChildren(...found.map((one) => Object.assign(document.createElement("option"), { value: one.id, textContent: one.name })));
      } catch {
        // the button beside the field searches without this
      }
    }, 200);
  });
});
document.querySelectorAll("button[data-look]").forEach((button) =>
  button.dataset.look.split(" ").filter(Boolean).forEach((id) => {
    const field = button.form.elements[id];
    if (!field) return;
    let shown = field.value;
    // A date that is being typed changes with each of its digits, so it is waited for until one leaves it.
    field.addEventListener(field.tagName === "SELECT" ? "change" : "blur", () => {
      if (field.value === shown) return;
      shown = field.value;
      button.click();
    });
  })
);
