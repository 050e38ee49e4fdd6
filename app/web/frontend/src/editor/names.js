// The panel's group "DAMS": what a model may name is chosen, not typed. What an engine here does not take is not offered.
import { SelectEntry, isSelectEntryEdited } from "@bpmn-io/properties-panel";
import { is } from "bpmn-js/lib/util/ModelUtil";

const UNUSED = ["AsynchronousContinuations", "CandidateStarter", "ConnectorInput", "ConnectorOutput", "FieldInjection", "HistoryCleanup", "JobExecution", "Tasklist"];
const LISTENERS = ["CamundaPlatform__ExecutionListener", "CamundaPlatform__TaskListener", "Zeebe__ExecutionListeners", "Zeebe__TaskListeners"];
const PANEL_ORDER = 300; // asked after the panel's own providers

export function names(box) {
  const say = box.dataset;
  let known = { functions: [], lookups: [], effects: [], topics: [], job_types: [], decisions: [] };

  const options = (list, value) => {
    const given = list.map((one) => ({ value: one.name, label: one.says ? `${one.name} – ${one.says}` : one.name }));
    if (value && !list.some((one) => one.name === value)) given.push({ value, label: value });
    return [{ value: "", label: say.sayNone }, ...given];
  };

  function Provider(panel, modeling, factory, eventBus) {
    const values = (element, type) => element.businessObject.get("extensionElements")?.get("values").filter((one) => is(one, type)) ?? [];
    const create = (type, given, parent) => {
      const made = factory.create(type, given);
      made.$parent = parent;
      return made;
    };
    const extend = (element, node) => {
      const object = element.businessObject;
      const around = object.get("extensionElements");
      if (around) return modeling.updateModdleProperties(element, around, { values: [...around.get("values"), Object.assign(node, { $parent: around })] });
      const made = create("bpmn:ExtensionElements", { values: [node] }, object);
      node.$parent = made;
      return modeling.updateModdleProperties(element, object, { extensionElements: made });
    };
    const replace = (element, holder, key, name, value) => {
      const others = holder.get("values").filter((one) => one.get(key) !== name);
      const added = value ? [create("camunda:Property", { [key]: name, value }, holder)] : [];
      modeling.updateModdleProperties(element, holder, { values: [...others, ...added] });
    };

    const select = (id, label, list, get, set, description = "") => ({
      id: `dams-${id}`,
      isEdited: isSelectEntryEdited,
      component: ({ element, id: own }) =>
        SelectEntry({ element, id: own, label, description, getValue: () => get(element) ?? "", setValue: (value) => set(element, value ?? ""), getOptions: () => options(list(), get(element)) }),
    });

    const property = (element) => values(element, "camunda:Properties")[0];
    const effect = select("effect", say.sayEffect, () => known.effects,
      (element) => property(element)?.get("values").find((one) => one.name === "effect")?.value,
      (element, value) => {
        const holder = property(element);
        if (holder) return replace(element, holder, "name", "effect", value);
        const made = factory.create("camunda:Properties", { values: [] });
        if (value) made.get("values").push(create("camunda:Property", { name: "effect", value }, made));
        return extend(element, made);
      }, say.sayEffectHint);
    const topic = select("topic", say.sayTopic, () => known.topics,
      (element) => element.businessObject.get("camunda:topic"),
      (element, value) => modeling.updateProperties(element, { "camunda:type": value ? "external" : undefined, "camunda:topic": value || undefined }));
    const decision = select("decision", say.sayDecision, () => known.decisions,
      (element) => element.businessObject.get("camunda:decisionRef"),
      (element, value) => modeling.updateProperties(element, { "camunda:decisionRef": value || undefined }), say.sayDecisionHint);
    const job = select("job", say.sayJob, () => known.job_types,
      (element) => values(element, "zeebe:TaskDefinition")[0]?.get("type"),
      (element, value) => {
        const found = values(element, "zeebe:TaskDefinition")[0];
        if (found) modeling.updateModdleProperties(element, found, { type: value });
        else extend(element, factory.create("zeebe:TaskDefinition", { type: value }));
      });
    const call = select("function", say.sayFunction, () => known.functions, () => "",
      (element, value) => {
        const before = element.businessObject.get("script");
        if (value) modeling.updateProperties(element, { scriptFormat: element.businessObject.get("scriptFormat") || "python", script: before ? `${before}\n${value}` : value });
      });
    const field = (one) => select(`choices-${one.id}`, `${say.sayChoices} ${one.label || one.id}`, () => known.lookups,
      () => one.get("properties")?.get("values").find((own) => own.id === "lookup")?.value,
      (element, value) => {
        const holder = one.get("properties");
        if (holder) return replace(element, holder, "id", "lookup", value);
        const made = create("camunda:Properties", { values: [] }, one);
        made.get("values").push(create("camunda:Property", { id: "lookup", value }, made));
        return modeling.updateModdleProperties(element, one, { properties: made });
      });

    function entries(element) {
      if (say.engine === "zeebe") return is(element, "bpmn:ServiceTask") || is(element, "bpmn:SendTask") ? [job] : [];
      const fields = values(element, "camunda:FormData").flatMap((form) => form.get("fields"));
      return [
        ...(is(element, "bpmn:ServiceTask") ? [topic] : []),
        ...(is(element, "bpmn:BusinessRuleTask") ? [decision] : []),
        ...(["bpmn:UserTask", "bpmn:ManualTask", "bpmn:ScriptTask"].some((one) => is(element, one)) ? [effect] : []),
        ...(is(element, "bpmn:ScriptTask") ? [call] : []),
        ...(is(element, "bpmn:UserTask") ? fields.map(field) : []),
      ];
    }

    this.getGroups = (element) => (groups) => {
      const listens = ["camunda:ExecutionListener", "camunda:TaskListener", "zeebe:ExecutionListeners", "zeebe:TaskListeners"].some((type) => values(element, type).length);
      const kept = groups.filter((one) => !UNUSED.includes(one.id.split("__").pop()) && (listens || !LISTENERS.includes(one.id)));
      const own = entries(element);
      return own.length ? [...kept.slice(0, 1), { id: "dams", label: "DAMS", entries: own, shouldOpen: true }, ...kept.slice(1)] : kept;
    };
    panel.registerProvider(PANEL_ORDER, this);
    fetch(say.names, { credentials: "same-origin", headers: { Accept: "application/json" } })
      .then((answer) => (answer.ok ? answer.json() : known))
      .then((found) => {
        known = found;
        eventBus.fire("propertiesPanel.providersChanged");
      })
      .catch(() => {}); // a name can be typed all the same
  }
  Provider.$inject = ["propertiesPanel", "modeling", "bpmnFactory", "eventBus"];
  return { __init__: ["damsNames"], damsNames: ["type", Provider] };
}
