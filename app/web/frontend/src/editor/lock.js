// Says every few seconds that this tab draws, and tells who else does.
import { clock } from "../clock.js";
import { ask, made, notice } from "./asking.js";

export function lock(box) {
  const say = box.dataset;
  const address = `${say.api}/lock`;
  const tab = identifier();
  let had = false;

  const taking = () => made("button", { type: "button", className: "outline small", textContent: say.sayTake, onclick: () => hold(true) });

  async function hold(byForce = false) {
    try {
      const answer = await ask(address, "POST", { tab, by_force: byForce });
      if (!answer.ok) return;
      const said = await answer.json();
      if (said.mine) notice("lock", "");
      else if (said.by) notice("lock", `${said.by} ${had ? say.sayLost : say.sayLocked} (${clock(said.since)})`, taking());
      had = had || said.mine;
    } catch {
      // the next beat says it again; the lock ends by itself
    }
  }

  hold();
  setInterval(() => !document.hidden && hold(), say.every * 1000);
  document.addEventListener("visibilitychange", () => !document.hidden && hold());
  addEventListener("pagehide", () => ask(address, "DELETE", { tab }, undefined, true).catch(() => {})); // it ends by itself, too
  return { tab, taking };
}

// crypto.randomUUID is there only under TLS and on this very machine.
function identifier() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const digits = [...bytes].map((one) => one.toString(16).padStart(2, "0")).join("");
  return digits.replace(/^(.{8})(.{4}).(.{3}).(.{3})(.{12})$/, "$1-$2-4$3-8$4-$5");
}
