// Puts what the pages load from npm packages into static/vendor/, which git ignores: nothing comes from a CDN.
import { copyFile, mkdir, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const vendor = join(here, "static", "vendor");

const FILES = {
  "htmx.org/dist/htmx.min.js": "htmx.min.js",
  "idiomorph/dist/idiomorph-ext.min.js": "idiomorph-ext.min.js",
  "uplot/dist/uPlot.iife.min.js": "uPlot.iife.min.js",
  "uplot/dist/uPlot.min.css": "uPlot.min.css",
  "@fontsource-variable/ibm-plex-sans/files/ibm-plex-sans-latin-wght-normal.woff2": "plex-latin.woff2",
  "@fontsource-variable/ibm-plex-sans/files/ibm-plex-sans-latin-ext-wght-normal.woff2": "plex-latin-ext.woff2",
};

await rm(vendor, { recursive: true, force: true });
await mkdir(vendor, { recursive: true });
await Promise.all(
  Object.entries(FILES).map(([from, to]) => copyFile(join(here, "node_modules", from), join(vendor, to))),
);
console.log(`${Object.keys(FILES).length} files in static/vendor`);
