// The panels' scripts as a page gets them: their parts in one module, imported anew for each model, as anywidget does.
import { readFileSync } from "node:fs";

const STATIC = new URL("../../../courselib/panels/static/", import.meta.url);
let imported = 0;

// What a module made of these files calls by these names.
export function load(files, names) {
  const text = files.map((file) => readFileSync(new URL(file, STATIC), "utf8")).join("\n");
  const own = text.replace(/export default [^;]*;/, "");
  imported += 1;
  const source = `${own}\nexport { ${names.join(", ")} };\n// ${imported}`;
  return import(`data:text/javascript,${encodeURIComponent(source)}`);
}
