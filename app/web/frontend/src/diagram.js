// Draws the model with what has run and where the token is. The page works without it.
import NavigatedViewer from "bpmn-js/lib/NavigatedViewer";

const READABLE = 0.62; // smaller, and nobody can read the names
const MARGIN = 24;

// A drawing that would be too small to read is drawn wider than its box, which then scrolls to where the token is.
function widen(box, canvasBox, canvas) {
  const all = canvas.viewbox().inner;
  const width = Math.ceil(all.width * READABLE) + 2 * MARGIN;
  if (width <= box.clientWidth) return false;
  canvasBox.style.minWidth = `${width}px`;
  box.style.overflowX = "auto";
  box.style.height = `${Math.min(box.offsetHeight, Math.max(180, Math.ceil(all.height * READABLE) + 4 * MARGIN))}px`;
  box.tabIndex = 0; // by the arrow keys too
  return true;
}

function scrollTo(box, canvasBox, canvas, element) {
  const logo = canvasBox.querySelector(".bjs-powered-by");
  const keep = () => logo && (logo.style.right = `${Math.max(15, canvasBox.clientWidth - box.scrollLeft - box.clientWidth + 15)}px`);
  box.addEventListener("scroll", keep);
  const seen = canvas.viewbox();
  if (element) box.scrollLeft = (element.x + element.width / 2 - seen.x) * seen.scale - box.clientWidth / 2;
  keep();
}

// The file of the model, or nothing: the server's own drawing stays where it does not come.
async function asked(address) {
  try {
    const answer = await fetch(address, { credentials: "same-origin" });
    return answer.ok ? await answer.text() : "";
  } catch {
    return ""; // the server is away, or so is whoever looked
  }
}

async function draw(box) {
  const xml = await asked(box.dataset.xml);
  if (!xml) return;
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
    await viewer.importXML(xml);
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
  const scrolls = widen(box, canvasBox, canvas);
  canvas.resized(); // the box grew when the plain drawing went
  canvas.zoom("fit-viewport", "auto");
  canvas.zoom(canvas.zoom() * 0.92, "auto"); // fit-viewport leaves no margin
  const at = `${box.dataset.trouble || ""} ${box.dataset.current || ""}`.split(" ").find((id) => registry.get(id));
  if (scrolls) scrollTo(box, canvasBox, canvas, at && registry.get(at));
  // The list in words is for the keyboard and for screen readers: a drawing that takes the focus would say nothing.
  const svg = canvasBox.querySelector("svg");
  svg?.setAttribute("aria-hidden", "true");
  svg?.removeAttribute("tabindex");
}

document.querySelectorAll("[data-xml]").forEach((box) => draw(box));
