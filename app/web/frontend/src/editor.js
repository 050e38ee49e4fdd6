// The editor of models: draws, checks while one draws, saves a draft, and never loses what somebody drew.
import { begin, opened, wide } from "./editor/board.js";
import { open } from "./editor/canvas.js";

const box = document.querySelector("#editor");
if (box && wide()) {
  const { canvas, panel } = opened(box);
  open(box, canvas, panel).then((drawn) => begin(box, drawn));
}
