// What both editors have around the drawing: the text that counts, checks, saving, the lock, and the text that cannot be drawn.
import { checks } from "./problems.js";
import { saving } from "./saving.js";
import { lock } from "./lock.js";

export const wide = () => matchMedia("(min-width: 761px)").matches;

// Makes room for the drawing; where it goes, and where its panel does.
export function opened(box) {
  const canvas = box.querySelector(".canvas");
  const aside = box.querySelector(".aside");
  box.querySelector(".plain").hidden = true;
  canvas.hidden = aside.hidden = false;
  return { canvas, panel: aside.querySelector(".properties") };
}

// `drawn` can load a text, give it and its name, tell of changes, choose an element and mark one.
export async function begin(box, drawn) {
  const source = box.querySelector("#source");
  const text = box.querySelector("#xml");
  const heading = document.querySelector("h1");
  // As long as nothing was changed the text is the one that was opened: reading and writing it again would differ.
  const state = { original: text.value, edited: false, dirty: false, broken: false };
  const current = async () => (state.broken ? text.value : state.edited ? await drawn.text() : state.original);
  const name = () => (!state.broken && drawn.name()) || heading.firstChild.textContent.trim();
  const check = checks(box, drawn, current);
  const saved = saving(box, state, current, name, lock(box));
  const changed = () => {
    saved.changed();
    check.soon();
  };
  const show = async () => {
    try {
      await drawn.load(text.value);
      Object.assign(state, { original: text.value, edited: false, broken: false });
      source.hidden = true;
    } catch (error) {
      state.broken = true;
      source.hidden = false;
      source.querySelector("label").textContent = `${box.dataset.sayBroken} (${error.message})`;
    }
  };
  await show();
  drawn.onChange(() => {
    state.edited = true;
    heading.firstChild.textContent = `${name()} `;
    changed();
  });
  text.addEventListener("input", changed);
  box.querySelector("#draw").addEventListener("click", async () => {
    await show();
    check.soon();
  });
  performance.mark("editor-interactive");
  box.dataset.ready = "yes";
  check.now();
}
