import react from '@vitejs/plugin-react';
import { defineConfig } from 'vitest/config';

// While working on the screens, `npm run dev` passes every server path on to a running `shanhai serve`.
const server = process.env['SHANHAI_URL'] ?? 'http://127.0.0.1:8080';
const serverPaths = ['/fhir', '/session', '/dicom-web', '/events', '/indicators', '/reports', '/studies', '/admin', '/verify'];

export default defineConfig({
  plugins: [react()],
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
