// The editor of decision tables: dmn-js with what the editor of models has around it.
import { begin, opened, wide } from "./editor/board.js";
import { open } from "./editor/table.js";

const box = document.querySelector("#editor");
if (box && wide()) begin(box, open(opened(box).canvas));
