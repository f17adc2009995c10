// Draw faces for `benchmarks/out_of_scope.py`: node drawn_faces.mjs FOLDER
//   npm install --no-save @dicebear/core@9 @dicebear/collection@9 @resvg/resvg-js@2
import { mkdirSync, writeFileSync } from "node:fs";
import { createAvatar } from "@dicebear/core";
import * as collection from "@dicebear/collection";
import { Resvg } from "@resvg/resvg-js";

const STYLES = ["adventurer", "avataaars", "bigSmile", "lorelei", "micah", "notionists", "openPeeps", "personas"];
const EACH = 25;
const folder = process.argv[2];
mkdirSync(folder, { recursive: true });
for (const style of STYLES) {
  for (let seed = 0; seed < EACH; seed++) {
    const svg = createAvatar(collection[style], { seed: String(seed), backgroundColor: ["b6e3f4"] }).toString();
    const png = new Resvg(svg, { fitTo: { mode: "width", value: 512 } }).render().asPng();
    writeFileSync(`${folder}/${style}-${seed}.png`, png);
  }
}
