// A check made of a chart: bounds that its values suggest, how often they would
// have been broken, and the check as YAML.

import type { Series } from './records'

export interface Draft {
  name: string; service: string; environment: string; query: string
  above: number | undefined; below: number | undefined; for: string; severity: string
}

// round keeps two digits, rounded up or down.
export function round(v: number, up: boolean): number {
  if (v === 0 || !Number.isFinite(v)) return 0
  const power = 10 ** (Math.floor(Math.log10(Math.abs(v))) - 1)
  const n = v / power
  return Number(((up ? Math.ceil(n - 1e-9) : Math.floor(n + 1e-9)) * power).toPrecision(2))
}

const values = (series: Series[]) => series.flatMap((s) => s.datapoints.flatMap(([v]) => (v !== null && Number.isFinite(v) ? [v] : [])))

// suggest is a bound a fifth of the range beyond what was seen; for what is below,
// none where the values reach down to zero.
export function suggest(series: Series[]): { above: number | undefined; below: number | undefined } {
  const all = values(series)
  if (all.length === 0) return { above: undefined, below: undefined }
  let low = Infinity, high = -Infinity
  for (const v of all) { low = Math.min(low, v); high = Math.max(high, v) }
  const room = (high - low || Math.abs(high) || 1) / 5
  const below = round(low - room, false)
  return { above: round(high + room, true), below: low > 0 && below <= 0 ? round(low / 2, false) : low === 0 ? undefined : below }
}

// seconds reads Steer's durations: 1m30s.
export function seconds(duration: string): number | undefined {
  const text = duration.trim()
  if (!/^(\d+(\.\d+)?(ms|s|m|h|d))+$/.test(text)) return text === '' || text === '0' ? 0 : undefined
  const size: Record<string, number> = { ms: 0.001, s: 1, m: 60, h: 3600, d: 86400 }
  return [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g)].reduce((sum, [, n, u]) => sum + Number(n) * size[u!]!, 0)
}

// broken counts how often, and for how many seconds together, a series was beyond
// a bound for at least so long without a break.
export function broken(series: Series[], d: Pick<Draft, 'above' | 'below'>, least: number): { times: number; seconds: number } {
  let times = 0, sum = 0
  for (const s of series) {
    const step = s.datapoints.length > 1 ? s.datapoints[1]![1] - s.datapoints[0]![1] : 0
    let since: number | undefined, last = 0
    const end = () => {
      if (since !== undefined && last - since >= least) { times++; sum += last - since }
      since = undefined
    }
    for (const [v, t] of s.datapoints) {
      if (v === null) continue // the newest value counts until there is another
      const beyond = (d.above !== undefined && v > d.above) || (d.below !== undefined && v < d.below)
      if (since !== undefined) last = t
      if (beyond) { since ??= t; last = t + step } else end()
    }
    end()
  }
  return { times, seconds: sum }
}

// nameOf makes a check's name of the last parts of a target's first path.
export function nameOf(target: string): string {
  const path = target.replace(/\{[^}]*\}/g, '').split(/[(),|"']/).find((p) => p.includes('.')) ?? target
  const parts = path.split('.').map((p) => p.replace(/[^A-Za-z0-9]+/g, '-').replace(/^-+|-+$/g, '')).filter(Boolean)
  return parts.slice(-2).join('-').toLowerCase().slice(0, 63) || 'check'
}

export const nameWrong = (name: string): string =>
  /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/.test(name) ? '' : 'letters, digits, "-", "_" and ".", at most 63'

// scalar quotes what YAML would take for something else than a text.
const scalar = (text: string) => (/^[A-Za-z][\w.\/-]*$/.test(text) && !/^(true|false|yes|no|on|off|null|y|n)$/i.test(text) ? text : JSON.stringify(text))

// yaml is the check as an entry of checks/*.yaml, or of the checks of a steer.yaml,
// where the service is known.
export function yaml(d: Draft, place: 'definitions' | 'service'): string {
  const lines = [
    `name: ${scalar(d.name)}`,
    place === 'definitions' && d.service && `service: ${scalar(d.service)}`,
    d.environment && `environment: ${scalar(d.environment)}`,
    `query: ${scalar(d.query)}`,
    d.above !== undefined && `above: ${d.above}`,
    d.below !== undefined && `below: ${d.below}`,
    d.for && d.for !== '0s' && `for: ${d.for}`,
    `severity: ${d.severity}`,
  ].filter((l): l is string => !!l)
  const item = lines.map((l, i) => (i === 0 ? '- ' : '  ') + l)
  return place === 'definitions' ? item.join('\n') + '\n' : ['checks:', ...item.map((l) => '  ' + l)].join('\n') + '\n'
}
