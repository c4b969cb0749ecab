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
    const told = Object.fromEntries([...output.matchAll(/^\s+(UI|Token|Data|Graphite|StatsD)\s+(\S+)$/gm)].map((m) => [m[1].toLowerCase(), m[2]]))
    if (told.statsd) return { ...tour, url: told.ui, token: told.token, data: told.data, graphite: told.graphite, statsd: told.statsd }
    if (ended !== undefined) throw new Error(`the tour ended (${ended}) before it stayed up`)
    if (Date.now() > end) { await tour.stop(); throw new Error('the tour did not stay up within 240 s') }
    await new Promise((r) => setTimeout(r, 100))
  }
}
