// Draws the model with what has run and where the token is. The page works without it.
import NavigatedViewer from "bpmn-js/lib/NavigatedViewer";

async function draw(box) {
  const answer = await fetch(box.dataset.xml, { credentials: "same-origin" });
  if (!answer.ok) return;
  const canvasBox = document.createElement("div");
  canvasBox.className = "canvas";
  const viewer = new NavigatedViewer({
    container: canvasBox,
    // a little smaller than usual: where Arial is missing, its substitutes are wider and names would break
    textRenderer: { defaultStyle: { fontSize: 11 }, externalStyle: { fontSize: 9.5 } },
  });
  const plain = box.querySelector(".plain-diagram");
  box.append(canvasBox);
  try {
    await viewer.importXML(await answer.text());
  } catch {
    canvasBox.remove(); // a file without a drawing: the server's own stays
    return;
  }
  plain?.setAttribute("hidden", "");
  const canvas = viewer.get("canvas");
  const registry = viewer.get("elementRegistry");
  const mark = () => {
    for (const [marker, ids] of [["done", box.dataset.done], ["current", box.dataset.current], ["trouble", box.dataset.trouble]]) {
      const wanted = (ids || "").split(" ").filter(Boolean);
      for (const element of registry.filter((one) => canvas.hasMarker(one, marker) && !wanted.includes(one.id))) canvas.removeMarker(element, marker);
      for (const id of wanted) if (registry.get(id)) canvas.addMarker(id, marker);
    }
  };
  mark();
  box.addEventListener("progress", mark);
  canvas.resized(); // the box grew when the plain drawing went
  canvas.zoom("fit-viewport", "auto");
  canvas.zoom(canvas.zoom() * 0.92, "auto"); // fit-viewport leaves no margin
  // The list in words is for the keyboard and for screen readers: a drawing that takes the focus would say nothing.
  const svg = canvasBox.querySelector("svg");
  svg?.setAttribute("aria-hidden", "true");
  svg?.removeAttribute("tabindex");
}

document.querySelectorAll("[data-xml]").forEach((box) => draw(box));
