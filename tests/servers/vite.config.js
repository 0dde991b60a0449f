// Vite's React template, with behaviours.mjs as a project's own middleware beside it.
import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

import { answer, echo } from './behaviours.mjs';

const behaves = {
  name: 'behaves',
  configureServer(server) {
    server.middlewares.use((request, response, next) => answer(request, response) || next());
    server.httpServer.on('upgrade', (request, socket, head) => {
      if (request.url.startsWith('/ws')) echo(request, socket, head);
    });
  },
};

// What it makes of dependencies belongs to the test, and not to the packages, which tests share.
export default defineConfig({
  plugins: [react(), behaves],
  cacheDir: '.vite',
  server: { fs: { strict: false } },
});
