// The server that the browser looks at: "steer tour --stay".

import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const program = process.env.STEER_BIN ?? fileURLToPath(new URL('../../bin/steer', import.meta.url))

// startTour returns when the tour has verified everything and stays up.
export async function startTour() {
  const env = { ...process.env, NO_COLOR: '1' }
  const child = spawn(program, ['tour', '--stay'], { env, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  let ended
  child.on('error', (e) => { ended = e.message })
  child.on('exit', (code, signal) => { ended ??= `exit code ${code ?? signal}` })
  const take = (chunk) => { output += chunk; process.stdout.write(chunk) }
  child.stdout.on('data', take)
  child.stderr.on('data', take)

  const tour = {
    output: () => output,
    ended: () => ended,
    // stop is Ctrl-C; it returns the exit code.
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return child.exitCode
      const gone = new Promise((r) => child.once('exit', (code, signal) => r(code ?? signal)))
      child.kill('SIGINT')
      const late = setTimeout(() => child.kill('SIGKILL'), 40000)
      const code = await gone
      clearTimeout(late)
      return code
    },
  }
  const end = Date.now() + 240000
  for (;;) {
    const url = /^\s*UI\s+(http\S+)$/m.exec(output)?.[1]
    const token = /^\s*Token\s+(steer_\S+)$/m.exec(output)?.[1]
    const data = /^\s*Data\s+(\/\S+)$/m.exec(output)?.[1]
    if (url && token && data) return { ...tour, url: url.replace(/\/$/, ''), token, data }
    if (ended !== undefined) throw new Error(`the tour ended (${ended}) before it stayed up`)
    if (Date.now() > end) { await tour.stop(); throw new Error('the tour did not stay up within 240 s') }
    await new Promise((r) => setTimeout(r, 100))
  }
}
