// Builds the web app into dist/web: `npm run build:web`. With --serve it serves the sources with hot reload
// instead, in front of an API that runs already (BERTH_URL, by default the one of `./berth up`).

import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { brotliCompressSync, gzipSync } from "node:zlib";
import react from "@vitejs/plugin-react";
import { build, createServer, type InlineConfig } from "vite";
import { digestOfWebSources, WEB_DIRECTORY, WEB_STAMP } from "#main/web-app.ts";

const root = resolve(import.meta.dirname, "..");

const config: InlineConfig = {
  configFile: false,
  root: join(root, "src/web"),
  cacheDir: join(root, ".berth/vite"),
  logLevel: "warn",
  plugins: [react()],
  build: {
    target: "es2023",
    emptyOutDir: true,
    // Nothing inline: the page's policy allows scripts, fonts and pictures from its own origin only.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 900,
    rolldownOptions: {
      output: {
        codeSplitting: {
          groups: [
            { name: "react", test: /node_modules\/(react|react-dom|scheduler|@tanstack)\// },
            { name: "mantine", test: /node_modules\/@(mantine|floating-ui)\// },
          ],
        },
      },
    },
  },
};

async function buildApp(): Promise<void> {
  const digest = await digestOfWebSources();
  // Beside the old one, then in its place: a server that reads it never sees half of it.
  const fresh = `${WEB_DIRECTORY}.${process.pid}.new`;
  const old = `${WEB_DIRECTORY}.${process.pid}.old`;
  try {
    await build({ ...config, build: { ...config.build, outDir: fresh } });
    compressFiles(fresh);
    writeFileSync(join(fresh, WEB_STAMP), digest);
    mkdirSync(WEB_DIRECTORY, { recursive: true });
    renameSync(WEB_DIRECTORY, old);
    renameSync(fresh, WEB_DIRECTORY);
  } finally {
    rmSync(old, { recursive: true, force: true });
    rmSync(fresh, { recursive: true, force: true });
  }
}

const COMPRESSIBLE = /\.(?:js|css|svg)$/;
const MIN_BYTES = 1024;

/** Once here, as well as it goes, instead of for each visitor. */
function compressFiles(directory: string): void {
  for (const name of readdirSync(directory, { recursive: true, encoding: "utf8" })) {
    if (!COMPRESSIBLE.test(name)) continue;
    const bytes = readFileSync(join(directory, name));
    if (bytes.length < MIN_BYTES) continue;
    writeFileSync(join(directory, `${name}.br`), brotliCompressSync(bytes));
    writeFileSync(join(directory, `${name}.gz`), gzipSync(bytes, { level: 9 }));
  }
}

async function serveSources(): Promise<void> {
  const target = process.env.BERTH_URL ?? "http://127.0.0.1:7300";
  const port = Number(process.env.PORT ?? 7310);
  const proxied = { target, changeOrigin: true };
  const server = await createServer({
    ...config,
    server: { host: "localhost", port, strictPort: true, proxy: { "/v1": proxied } },
  });
  await server.listen();
  console.log(`http://localhost:${port} in front of ${target}`);
}

if (process.argv.includes("--serve")) await serveSources();
else await buildApp();
