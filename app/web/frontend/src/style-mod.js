// CodeMirror, in the properties panel, writes its styles into a <style> element, which the pages' policy forbids. Given a
// root without a head it uses a constructed style sheet, which is allowed.
import { StyleModule as Original } from "../node_modules/style-mod/src/style-mod.js";

const page = {
  ownerDocument: document,
  get adoptedStyleSheets() {
    return document.adoptedStyleSheets;
  },
  set adoptedStyleSheets(sheets) {
    document.adoptedStyleSheets = sheets;
  },
};

export class StyleModule extends Original {
  static mount(root, modules) {
    Original.mount(root.head ? page : root, modules);
  }
}
