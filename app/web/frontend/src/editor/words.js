// The library's own texts in the reader's language; as they stand where the page brings no other words.
export function spoken(box) {
  const words = new Map(Object.entries(JSON.parse(box.dataset.words || "{}")));
  const said = (text, places) => (words.get(text) ?? text).replace(/{([^}]+)}/g, (whole, name) => places?.[name] ?? whole);
  return { translate: ["value", said] };
}
