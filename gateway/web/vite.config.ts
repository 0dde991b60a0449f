// How the UI is built: hashed files under /assets/, nothing inlined (the gateway's CSP forbids it),
// and a development server that forwards to a running gateway.
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { loadEnv } from 'vite';
import { defineConfig } from 'vitest/config';

export default defineConfig(({ mode }) => {
  const gateway = loadEnv(mode, '.', 'BERTH_')['BERTH_GATEWAY'] ?? 'http://127.0.0.1:7391';
  // The gateway compares Origin exactly, so the forwarded request must carry its own.
  const forward = { target: gateway, changeOrigin: true, ws: true, headers: { origin: gateway } };

  return {
    plugins: [svelte()],
    build: {
      target: 'es2022',
      assetsInlineLimit: 0,
      modulePreload: { polyfill: false },
      // One script: xterm.js is most of it, and every visit ends in a terminal.
      chunkSizeWarningLimit: 800,
      rolldownOptions: {
        input: { index: 'index.html', 'service-worker': 'src/service-worker/main.ts' },
        output: {
          // A service worker's address is its identity, so that it has the same name in every version.
          entryFileNames: ({ name }) => (name === 'service-worker' ? '[name].js' : 'assets/[name]-[hash].js'),
        },
      },
    },
    server: { proxy: { '/api': forward, '/sign-in': forward } },
    test: { include: ['src/**/*.test.ts'], environment: 'node' },
  };
});
