import react from '@vitejs/plugin-react';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, constants } from 'node:zlib';
import type { Plugin } from 'vite';
import { defineConfig } from 'vitest/config';

// While working on the screens, `npm run dev` passes every server path on to a running `shanhai serve`.
const server = process.env['SHANHAI_URL'] ?? 'http://127.0.0.1:8080';
const serverPaths = ['/fhir', '/session', '/dicom-web', '/events', '/indicators', '/reports', '/studies', '/admin', '/verify', '/live', '/workflows/times'];

/** A Brotli stream beside each file of text, a sixth smaller than gzip; the program serves it to who takes it. */
function brotli(): Plugin {
  let folder = 'dist';
  return {
    name: 'shanhai-brotli',
    apply: 'build',
    configResolved: (config) => {
      folder = join(config.root, config.build.outDir);
    },
    closeBundle: () => {
      for (const entry of readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => /\.(js|css|html|svg)$/.test(name))) {
        const content = readFileSync(join(folder, entry));
        const params = { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: content.length };
        writeFileSync(join(folder, `${entry}.br`), brotliCompressSync(content, { params }));
      }
    },
  };
}

export default defineConfig({
  plugins: [react(), brotli()],
  build: {
    // County hospitals still run Windows 7, whose last browser is Chrome 109.
    target: 'chrome109',
    // No file becomes a data: address and no polyfill becomes an inline script: the content policy forbids both.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 1600,
  },
  worker: { format: 'es' },
  server: {
    host: '127.0.0.1',
    proxy: Object.fromEntries(serverPaths.map((path) => [path, { target: server, changeOrigin: true, headers: { origin: server } }])),
  },
  test: { environment: 'node', include: ['tests/**/*.test.ts'] },
});
