import { svelte } from '@sveltejs/vite-plugin-svelte'
import { defineConfig } from 'vite'

// In development: npm run dev, with the API of a server on its usual port.
const server = process.env.STEER_SERVER ?? 'http://127.0.0.1:8080'

export default defineConfig({
  plugins: [svelte()],
  build: { outDir: 'dist', emptyOutDir: false, target: 'es2022', sourcemap: false },
  server: { proxy: { '/api': server, '/render': server, '/metrics': server, '/functions': server, '/tags': server } },
})
