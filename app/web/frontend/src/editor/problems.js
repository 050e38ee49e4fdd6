// What our own checks say of the drawing: a mark on each element, and the list beside it. Texts are set as text only:
// names and messages come from files.
import { ask, made } from "./asking.js";

const PAUSE = 600;

export function checks(box, drawn, current) {
  const say = box.dataset;
  const verdict = box.querySelector("#verdict");
  const list = box.querySelector("#problems");
  let waiting = 0;
  let asked = null;

  const cure = (problem) => made("a", { href: `${say.help}#${problem.rule}`, target: "_blank", rel: "noopener", textContent: say.sayCure });

  function mark(id, problems) {
    const registry = drawn.get("elementRegistry");
    const element = registry?.get(id);
    if (!element || element === drawn.get("canvas").findRoot(element)) return;
    const worst = problems.some((one) => one.severity === "error") ? "error" : "warning";
    const said = made("div", { className: "said", hidden: true });
    for (const problem of problems) said.append(made("p", {}, problem.message, ". ", made("em", { textContent: problem.fix }), " ", cure(problem)));
    const button = made("button", { type: "button", className: `mark ${worst}`, textContent: problems.length > 1 ? String(problems.length) : "!" });
    button.setAttribute("aria-label", problems.map((one) => one.message).join("; "));
    button.setAttribute("aria-expanded", "false");
    button.addEventListener("click", () => {
      said.hidden = !said.hidden;
      button.setAttribute("aria-expanded", String(!said.hidden));
      drawn.select(id);
    });
    drawn.get("overlays").add(element, "problem", { position: { top: -12, right: 12 }, html: made("div", { className: "marked" }, button, said) });
  }

  function show({ problems, outline }) {
    drawn.get("overlays")?.remove({ type: "problem" });
    const byElement = new Map();
    for (const one of problems) byElement.set(one.element_id, [...(byElement.get(one.element_id) || []), one]);
    for (const [id, theirs] of byElement) mark(id, theirs);
    drawn.mark(new Map([...byElement].map(([id, theirs]) => [id, theirs.map((one) => `${one.message}. ${one.fix}`).join("\n")])));
    list.replaceChildren(
      ...problems.map((problem) => {
        const button = made("button", { type: "button", className: "plain", textContent: problem.element_name || problem.element_id || problem.file });
        button.addEventListener("click", () => drawn.select(problem.element_id));
        return made("li", { className: problem.severity }, made("span", { className: `tag ${problem.severity}`, textContent: problem.rule }), " ", button, made("p", {}, problem.message, ". ", made("em", { textContent: problem.fix }), " ", cure(problem)));
      })
    );
    const errors = problems.filter((one) => one.severity === "error").length;
    const parts = [errors && `${errors} ${say.sayErrors}`, problems.length - errors && `${problems.length - errors} ${say.sayWarnings}`];
    verdict.textContent = parts.filter(Boolean).join(", ") || say.sayFine;
    verdict.className = errors ? "bad" : "hint";
    const words = document.querySelector("#outline");
    if (outline.length)
      words.replaceChildren(
        ...outline.map((step) => {
          const line = made("li", {}, step.name, " ", made("span", { className: "quiet", textContent: step.kind }));
          if (step.leads_to.length) line.append(made("small", { className: "hint", textContent: `${say.sayLeads} ${step.leads_to.join(" / ")}` }));
          return line;
        })
      );
  }

  async function now() {
    clearTimeout(waiting);
    asked?.abort();
    const mine = (asked = new AbortController());
    verdict.textContent = say.sayChecking;
    try {
      const answer = await ask(say.checks, "POST", { xml: await current(), file: say.file }, mine.signal);
      const said = await answer.json();
      if (mine !== asked) return;
      if (answer.ok) show(said);
      else verdict.textContent = said.detail || answer.statusText;
      box.dataset.checked = String(Number(box.dataset.checked || 0) + 1);
    } catch (error) {
      if (error.name !== "AbortError") verdict.textContent = say.sayAway;
    }
  }

  return {
    now,
    soon() {
      clearTimeout(waiting);
      waiting = setTimeout(now, PAUSE);
    },
  };
}
