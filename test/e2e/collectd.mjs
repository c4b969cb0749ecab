// collectd as Debian has it, sending to a Graphite port with its own plugin.

import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export const collectd = ['/usr/sbin/collectd', '/usr/bin/collectd'].find(existsSync)

// startCollectd sends this machine's load every second; it returns what ends it.
export function startCollectd(address) {
  const [host, port] = address.split(':')
  const dir = mkdtempSync(join(tmpdir(), 'steer-e2e-collectd-'))
  const conf = join(dir, 'collectd.conf')
  writeFileSync(conf, `Hostname "box"
FQDNLookup false
Interval 1
BaseDir "${dir}"
PIDFile "${dir}/pid"
TypesDB "/usr/share/collectd/types.db"
LoadPlugin load
LoadPlugin write_graphite
<Plugin write_graphite>
  <Node "steer">
    Host "${host}"
    Port "${port}"
    Protocol "tcp"
    Prefix "collectd."
  </Node>
</Plugin>
`)
  const child = spawn(collectd, ['-f', '-C', conf], { stdio: 'ignore' })
  return async () => {
    const gone = new Promise((r) => child.once('exit', r))
    child.kill('SIGTERM')
    await gone
    rmSync(dir, { recursive: true, force: true })
  }
}
