// Bundles scripts and styles into ../static/dist under hashed names, with a manifest that the pages read.
// With the word `pages` only what every page needs, which takes the packages under `dependencies` alone: the first sign-in
// does not wait for the editor, whose packages stand under `devDependencies`.
import { build } from "esbuild";
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync, existsSync } from "node:fs";
import { basename, join } from "node:path";

const target = new URL("../static/dist/", import.meta.url).pathname;
mkdirSync(target, { recursive: true });

const pages = { app: "src/app.js", diagram: "src/diagram.js", styles: "src/app.css", "diagram-styles": "src/diagram.css" };
const editor = { editor: "src/editor.js", decisions: "src/decisions.js", "editor-styles": "src/editor.css", "decisions-styles": "src/decisions.css" };

const result = await build({
  entryPoints: process.argv[2] === "pages" ? pages : { ...pages, ...editor },
  alias: { "style-mod": "./src/style-mod.js", domify: "./src/domify.js" },
  outdir: target,
  entryNames: "[name]-[hash]",
  assetNames: "[name]-[hash]",
  bundle: true,
  minify: true,
  metafile: true,
  define: { "process.env.NODE_ENV": '"production"' },
  format: "iife",
  target: ["chrome109", "firefox115", "safari16"],
  loader: { ".svg": "dataurl", ".woff": "dataurl", ".woff2": "dataurl", ".ttf": "dataurl", ".eot": "dataurl" },
  legalComments: "linked",
});

const manifest = {};
for (const [file, { entryPoint }] of Object.entries(result.metafile.outputs)) {
  if (entryPoint) manifest[basename(entryPoint)] = basename(file);
}
writeFileSync(join(target, "manifest.json"), JSON.stringify(manifest, null, 1));

// What others wrote is named with its licence beside what is served.
const licences = [];
const packages = Object.keys(result.metafile.inputs).flatMap((file) => file.match(/node_modules\/((?:@[^/]+\/)?[^/]+)\/(?!.*node_modules)/)?.[1] ?? []);
for (const name of [...new Set(packages)].sort()) {
  const folder = join("node_modules", name);
  const file = readdirSync(folder).find((one) => /^licen[cs]e/i.test(one));
  if (existsSync(folder) && file) licences.push(`${name}\n\n${readFileSync(join(folder, file), "utf8")}`);
}
writeFileSync(join(target, "THIRD_PARTY.txt"), licences.join("\n\n----\n\n"));

// What an earlier build left goes last: until then pages that were opened before still find it.
const made = new Set(["manifest.json", "THIRD_PARTY.txt", ...Object.keys(result.metafile.outputs).map((file) => basename(file))]);
for (const name of readdirSync(target)) if (!made.has(name) && !name.startsWith(".built")) rmSync(join(target, name));
