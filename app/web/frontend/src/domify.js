// The drawing libraries make nodes of text that holds style attributes, which the pages' policy forbids. The same styles
// are set by script here, which is allowed.
import original from "../node_modules/domify/index.js";

export default function domify(text, ...further) {
  const node = original(text.replace(/(<[^<>]*\s)style="/g, '$1data-css="'), ...further);
  for (const one of [node, ...(node.querySelectorAll?.("[data-css]") ?? [])]) {
    if (!one.dataset?.css) continue;
    one.style.cssText = one.dataset.css;
    delete one.dataset.css;
  }
  return node;
}
