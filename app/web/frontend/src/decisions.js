// The editor of decision tables: dmn-js with what the editor of models has around it.
import Modeler from "dmn-js/lib/Modeler";
import { checks } from "./editor/problems.js";
import { saving } from "./editor/saving.js";
import { lock } from "./editor/lock.js";

async function begin(box) {
  const text = box.querySelector("#xml");
  const canvas = box.querySelector(".canvas");
  const aside = box.querySelector(".aside");
  box.querySelector(".plain").hidden = true;
  canvas.hidden = aside.hidden = false;
  const modeler = new Modeler({ container: canvas });
  const state = { original: text.value, edited: false, dirty: false, broken: false };
  const current = async () => (state.broken ? text.value : state.edited ? (await modeler.saveXML({ format: true })).xml : state.original);
  const drawn = { get: () => undefined, select: () => {} };
  const check = checks(box, drawn, current);
  const saved = saving(box, state, current, lock(box));
  const source = box.querySelector("#source");
  const changed = () => {
    saved.changed();
    check.soon();
  };
  const watched = new WeakSet();
  const watch = (viewer) => {
    if (!viewer || watched.has(viewer)) return;
    watched.add(viewer);
    viewer.on("commandStack.changed", () => {
      state.edited = true;
      changed();
    });
  };
  const show = async () => {
    try {
      await modeler.importXML(text.value);
      Object.assign(state, { original: text.value, edited: false, broken: false });
      source.hidden = true;
    } catch (error) {
      state.broken = true;
      source.hidden = false;
      box.querySelector("#source label").textContent = `${box.dataset.sayBroken} (${error.message})`;
    }
    watch(modeler.getActiveViewer());
  };
  // The corner of the library's table is written as a header, without words.
  const name = () => canvas.querySelectorAll("th.index-column:not([role])").forEach((one) => one.setAttribute("role", "cell"));
  modeler.on("views.changed", () => {
    watch(modeler.getActiveViewer());
    requestAnimationFrame(name);
  });
  await show();
  const table = modeler.getViews().find((view) => view.type === "decisionTable");
  if (table && !state.broken) await modeler.open(table);
  watch(modeler.getActiveViewer());
  text.addEventListener("input", changed);
  box.querySelector("#draw").addEventListener("click", async () => {
    await show();
    check.soon();
  });
  name();
  performance.mark("editor-interactive");
  box.dataset.ready = "yes";
  check.now();
}

const box = document.querySelector("#editor");
if (box && matchMedia("(min-width: 761px)").matches) begin(box);
