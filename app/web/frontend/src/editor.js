// The editor of models: draws, checks while one draws, saves a draft, and never loses what somebody drew.
import { open } from "./editor/canvas.js";
import { checks } from "./editor/problems.js";
import { saving } from "./editor/saving.js";
import { lock } from "./editor/lock.js";

async function begin(box) {
  const source = box.querySelector("#source");
  const text = box.querySelector("#xml");
  const canvas = box.querySelector(".canvas");
  const aside = box.querySelector(".aside");
  box.querySelector(".plain").hidden = true;
  canvas.hidden = aside.hidden = false;
  const drawn = await open(box, canvas, aside.querySelector(".properties"));
  // As long as nothing was changed the text is the one that was opened: reading and writing it again would differ.
  const state = { original: text.value, edited: false, dirty: false, broken: false };
  const current = async () => (state.broken ? text.value : state.edited ? await drawn.text() : state.original);
  const check = checks(box, drawn, current);
  const holder = lock(box);
  const saved = saving(box, state, current, holder);
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
      box.querySelector("#source label").textContent = `${box.dataset.sayBroken} (${error.message})`;
    }
  };
  await show();
  drawn.onChange(() => {
    state.edited = true;
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

const box = document.querySelector("#editor");
if (box && matchMedia("(min-width: 761px)").matches) begin(box);
