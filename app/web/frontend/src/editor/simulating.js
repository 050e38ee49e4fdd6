// Token simulation and minimap for everybody: colours that can be read, and switches that a key reaches.
import { SCOPE_CREATE_EVENT } from "bpmn-js-token-simulation/lib/util/EventHelper";

const BEFORE_DRAWN = 1500; // before the library shows the token
const SHADES = ["#0b5cad", "#7a3e9d", "#8a4b00", "#0a6b5e", "#a3195b", "#3f4c9a"]; // white on each has 4.5 to 1 and more

function Shades(eventBus) {
  let next = 0;
  const shade = () => ({ primary: SHADES[next++ % SHADES.length], auxiliary: "#fff" });
  eventBus.on(SCOPE_CREATE_EVENT, BEFORE_DRAWN, ({ scope }) => {
    scope.colors = scope.parent?.colors ?? shade();
  });
}
Shades.$inject = ["eventBus"];

// Takes the place of the library's random colours.
export const shades = { coloredScopes: ["type", Shades] };

export function reachable(container) {
  for (const one of container.querySelectorAll(".djs-minimap .toggle, .bts-toggle-mode")) {
    one.setAttribute("role", "button");
    one.tabIndex = 0;
    one.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      event.stopPropagation(); // a space is a key of the drawing, too
      one.click();
    });
  }
}
