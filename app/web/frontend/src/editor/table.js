// The modeler for decision tables, with the same members as that for processes.
import Modeler from "dmn-js/lib/Modeler";

export function open(canvas) {
  const modeler = new Modeler({ container: canvas });
  const watched = new WeakSet();
  let told = () => {};
  let marked = new Map();

  const watch = (viewer) => {
    if (!viewer || watched.has(viewer)) return;
    watched.add(viewer);
    viewer.on("commandStack.changed", () => told());
  };
  // The corner of the library's table is written as a header, without words.
  const tidy = () => {
    canvas.querySelectorAll("th.index-column:not([role])").forEach((one) => one.setAttribute("role", "cell"));
    paint();
  };
  modeler.on("views.changed", () => watch(modeler.getActiveViewer()));

  const cells = (id) => [...canvas.querySelectorAll(`[data-element-id="${CSS.escape(id)}"], [data-row-id="${CSS.escape(id)}"], th[data-col-id="${CSS.escape(id)}"]`)];
  function paint() {
    canvas.querySelectorAll("[data-problem]").forEach((one) => {
      delete one.dataset.problem;
      one.removeAttribute("title");
    });
    for (const [id, said] of marked) for (const cell of cells(id)) Object.assign(cell, { title: said }).dataset.problem = "yes";
  }

  // The library draws rows anew while one writes or scrolls; what is marked stays so.
  new MutationObserver(() => requestAnimationFrame(tidy)).observe(canvas, { childList: true, subtree: true });

  return {
    get: () => undefined,
    async load(xml) {
      await modeler.importXML(xml);
      const table = modeler.getViews().find((view) => view.type === "decisionTable");
      if (table) await modeler.open(table);
      watch(modeler.getActiveViewer());
    },
    text: async () => (await modeler.saveXML({ format: true })).xml,
    name: () => modeler.getViews().filter((view) => view.type !== "drd").map((view) => view.name).join(", "),
    onChange: (listener) => (told = listener),
    mark(problems) {
      marked = problems;
      paint();
    },
    async select(id) {
      const view = modeler.getViews().find((one) => one.element.id === id || holds(one.element, id));
      if (view && view !== modeler.getActiveView()) await modeler.open(view);
      const [cell] = cells(id);
      cell?.scrollIntoView({ block: "nearest", inline: "nearest" });
      (cell?.querySelector("[tabindex], button") ?? cell)?.focus();
    },
  };
}

// Whether a table has a rule, a cell or a column of this id.
function holds(decision, id) {
  const table = decision.decisionLogic;
  const parts = [...(table?.input ?? []), ...(table?.output ?? []), ...(table?.rule ?? [])];
  return parts.some((one) => one.id === id || [...(one.inputEntry ?? []), ...(one.outputEntry ?? [])].some((cell) => cell.id === id));
}
