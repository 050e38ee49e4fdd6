// Saving a draft: by the button, by Ctrl+S, and before it is handed to another page. A text that was not taken stays.
import { clock } from "../clock.js";
import { ask, made, notice } from "./asking.js";

export function saving(box, state, current, named, holder) {
  const say = box.dataset;
  const note = box.querySelector("#saved");
  const button = box.querySelector("#save");
  button.hidden = false;

  const download = () => made("button", { type: "button", className: "outline small", textContent: say.sayDownload, onclick: keep });
  const theirs = () => made("a", { href: say.edit, target: "_blank", rel: "noopener", textContent: say.sayTheirs });
  const over = (revision) =>
    made("button", { type: "button", className: "outline small", textContent: say.sayOver, onclick: () => ((box.dataset.revision = revision), save()) });

  async function keep() {
    const address = URL.createObjectURL(new Blob([await current()], { type: "application/xml" }));
    made("a", { href: address, download: say.file }).click();
    setTimeout(() => URL.revokeObjectURL(address), 10000);
  }

  function refused(said) {
    const when = said.saved_at ? ` (${clock(said.saved_at)})` : "";
    const actions = said.locked_by ? [holder.taking(), download()] : said.revision ? [over(said.revision), theirs(), download()] : [download()];
    notice("save", (said.detail || "") + when, ...actions);
    note.textContent = say.sayUnsaved;
    return false;
  }

  async function save() {
    const text = await current();
    const body = {
      xml: text,
      file: say.file,
      engine: say.engine,
      name: named().slice(0, 200),
      base_version: say.base ? Number(say.base) : null,
      revision: Number(say.revision),
      tab: holder.tab,
    };
    try {
      const answer = await ask(say.api, "PUT", body);
      const said = await answer.json();
      if (!answer.ok) return refused(said);
      stored(said, text);
      return true;
    } catch {
      note.textContent = say.sayAway;
      return false;
    }
  }

  function stored(said, text) {
    Object.assign(state, { original: text, edited: false, dirty: false });
    box.dataset.revision = said.revision;
    box.dataset.draft = "yes";
    notice("save", "");
    note.textContent = `${say.saySaved} ${clock(said.saved_at)}`;
    document.querySelector("#editor-state").textContent = say.sayDraft;
    document.querySelectorAll("input[name=revision]").forEach((one) => (one.value = said.revision));
    document.querySelector("#discard").hidden = false;
    if (location.pathname !== say.edit) history.replaceState(null, "", say.edit);
  }

  button.addEventListener("click", save);
  document.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key === "s") {
      event.preventDefault();
      save();
    }
  });
  addEventListener("beforeunload", (event) => state.dirty && event.preventDefault());

  // What another page gets is what is drawn now, not what was saved last.
  document.querySelectorAll("#hand-over button:not([type])").forEach((one) => {
    one.hidden = false; // without a script there is nothing to hand over before the first save
    one.addEventListener("click", async (event) => {
      if (one.dataset.go) return delete one.dataset.go;
      event.preventDefault();
      if ((state.dirty || !box.dataset.draft) && !(await save())) return;
      one.dataset.go = "yes";
      one.click();
    });
  });
  document.querySelector("#discard").addEventListener("submit", (event) => {
    if (!confirm(say.sayDiscard)) event.preventDefault();
    else state.dirty = false;
  });

  return {
    save,
    changed() {
      state.dirty = true;
      note.textContent = say.sayUnsaved;
    },
  };
}
