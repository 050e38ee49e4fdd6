// A call of our own API from a page: with the page's token against forgery, and nodes whose texts are texts.
export function ask(address, method, body, signal, keepalive = false) {
  return fetch(address, {
    method,
    signal,
    keepalive,
    credentials: "same-origin",
    headers: { "Content-Type": "application/json", "X-CSRFToken": document.querySelector("input[name=csrf_token]").value },
    body: JSON.stringify(body),
  });
}

export function made(tag, given = {}, ...inside) {
  const node = Object.assign(document.createElement(tag), given);
  node.append(...inside);
  return node;
}

// Says something above the drawing that stays until it is settled, with what can be done about it.
export function notice(id, text, ...actions) {
  const notes = document.querySelector("#editor-notes");
  notes.querySelector(`[data-note=${id}]`)?.remove();
  notes.querySelector("[data-locked]")?.remove();
  if (!text) return;
  const note = made("div", { className: "notice" }, made("p", { textContent: text }), made("div", { className: "buttons" }, ...actions));
  note.dataset.note = id;
  notes.append(note);
}
