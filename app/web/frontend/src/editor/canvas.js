// The modeler for the engine that the model is drawn for.
import Modeler from "bpmn-js/lib/Modeler";
import { BpmnPropertiesPanelModule, BpmnPropertiesProviderModule, CamundaPlatformPropertiesProviderModule, ZeebePropertiesProviderModule } from "bpmn-js-properties-panel";
import { CreateAppendAnythingModule } from "bpmn-js-create-append-anything";
import platformBehaviors from "camunda-bpmn-js-behaviors/lib/camunda-platform";
import cloudBehaviors from "camunda-bpmn-js-behaviors/lib/camunda-cloud";
import camunda from "camunda-bpmn-moddle/resources/camunda.json";
import zeebe from "zeebe-bpmn-moddle/resources/zeebe.json";
import minimap from "diagram-js-minimap";
import simulation from "bpmn-js-token-simulation";
import { names } from "./names.js";
import { reachable, shades } from "./simulating.js";
import { spoken } from "./words.js";

const PALETTE = 120; // pixels that it takes on the left
const MARGIN = 20;
const ENGINES = {
  spiff: { modules: [CamundaPlatformPropertiesProviderModule, platformBehaviors], moddleExtensions: { camunda } },
  zeebe: { modules: [ZeebePropertiesProviderModule, cloudBehaviors], moddleExtensions: { zeebe } },
};

export async function open(box, container, panel) {
  const { modules, moddleExtensions } = ENGINES[box.dataset.engine];
  const modeler = new Modeler({
    container,
    propertiesPanel: { parent: panel },
    textRenderer: { defaultStyle: { fontSize: 11 }, externalStyle: { fontSize: 9.5 } },
    additionalModules: [BpmnPropertiesPanelModule, BpmnPropertiesProviderModule, CreateAppendAnythingModule, minimap, simulation, shades, ...modules, names(box), spoken(box)],
    moddleExtensions,
  });
  const get = (name) => modeler.get(name);
  reachable(container);
  return {
    get,
    async load(xml) {
      await modeler.importXML(xml);
      fit(get("canvas"));
    },
    text: async () => (await modeler.saveXML({ format: true })).xml,
    name() {
      const processes = modeler.getDefinitions()?.rootElements.filter((one) => one.$type === "bpmn:Process") ?? [];
      return (processes.find((one) => one.isExecutable) ?? processes[0])?.name;
    },
    onChange: (told) => get("eventBus").on("commandStack.changed", told),
    mark: () => {},
    select(id) {
      const element = get("elementRegistry").get(id);
      if (!element) return false;
      const canvas = get("canvas");
      const root = canvas.findRoot(element);
      if (root && root !== canvas.getRootElement()) canvas.setRootElement(root);
      if (element !== root) {
        get("selection").select(element);
        canvas.scrollToElement(element);
      } else get("selection").select([]);
      return true;
    },
  };
}

// The whole drawing beside the palette, at most in its own size.
function fit(canvas) {
  const { inner, outer } = canvas.viewbox();
  if (!inner.width || !outer.width) return;
  const scale = Math.min(1, (outer.width - PALETTE - MARGIN * 2) / inner.width, (outer.height - MARGIN * 4) / inner.height);
  const left = scale < 1 ? PALETTE + MARGIN : (outer.width - inner.width + PALETTE) / 2;
  const top = Math.max(MARGIN * 2, (outer.height - inner.height * scale) / 2);
  canvas.viewbox({ x: inner.x - left / scale, y: inner.y - top / scale, width: outer.width / scale, height: outer.height / scale });
}
