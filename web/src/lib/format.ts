// How times, durations and numbers are written, the same on every page.

export function duration(seconds: number): string {
  const s = Math.max(0, seconds)
  if (s < 1) return `${Math.round(s * 1000)} ms`
  if (s < 10) return `${s.toFixed(1)} s`
  if (s < 120) return `${Math.round(s)} s`
  if (s < 7200) return `${Math.round(s / 60)} min`
  if (s < 172800) return `${Math.round(s / 3600)} h`
  return `${Math.round(s / 86400)} d`
}

export function ago(time: string | undefined, now: number): string {
  if (!time || time.startsWith('0001')) return ''
  const s = (now - Date.parse(time)) / 1000
  return s < 3 ? 'just now' : `${s < 120 ? `${Math.round(s)} s` : duration(s)} ago`
}

// ahead is when something comes; what should have come is due.
export function ahead(time: string | undefined, now: number): string {
  if (!time) return ''
  const s = (Date.parse(time) - now) / 1000
  return s < 1 ? 'due now' : `in ${s < 120 ? `${Math.round(s)} s` : duration(s)}`
}

export function clock(time: string | undefined): string {
  if (!time || time.startsWith('0001')) return ''
  const t = new Date(time)
  const sameDay = t.toDateString() === new Date().toDateString()
  const hms = t.toLocaleTimeString(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit', hour12: false })
  return sameDay ? hms : `${t.toLocaleDateString(undefined, { day: 'numeric', month: 'short', year: 'numeric' })} ${hms}`
}

// zone is that of the browser's clock at a time: "UTC", "CET", "GMT+5:30".
export const zone = (at = new Date()): string =>
  new Intl.DateTimeFormat(undefined, { timeZoneName: 'short' }).formatToParts(at).find((p) => p.type === 'timeZoneName')?.value ?? ''

// moment is a time that stands alone: with its zone, so that it can be told to others.
export function moment(time: string | undefined): string {
  const t = clock(time)
  return t && `${t} ${zone(new Date(time!))}`
}

export function between(from: string | undefined, to: string | undefined): string {
  if (!from || !to) return ''
  return duration((Date.parse(to) - Date.parse(from)) / 1000)
}

// gap is what went by between two events; a tenth of a second is nothing.
export function gap(from: string | undefined, to: string): string {
  if (!from) return ''
  const s = (Date.parse(to) - Date.parse(from)) / 1000
  return s < 0.1 ? '' : `+${duration(s)}`
}

// number keeps four digits: 1234567 is 1.235 M.
export function number(v: number | null | undefined): string {
  if (v === null || v === undefined || Number.isNaN(v)) return '–'
  if (!Number.isFinite(v)) return v > 0 ? '∞' : '−∞'
  const a = Math.abs(v)
  for (const [size, unit] of [[1e12, ' T'], [1e9, ' G'], [1e6, ' M'], [1e4, ' k']] as const) {
    if (a >= size) return trim(v / (size === 1e4 ? 1e3 : size)) + unit
  }
  return a !== 0 && a < 0.001 ? v.toExponential(2) : trim(v)
}

const trim = (v: number) => String(Number(v.toPrecision(4)))

export const firstLine = (text: string) => text.split('\n', 1)[0] ?? ''
// brief is a text as one line, cut where it gets long.
export function brief(text: string, most = 160): string {
  const line = text.trim().replace(/\s+/g, ' ')
  return line.length > most ? line.slice(0, most - 1) + '…' : line
}
// shortSha names a commit, or those that definitions are put together from:
// BASE+ROLE@COMMIT.
export const shortSha = (sha: string) => sha.split('+').map((p) => p.replace(/^(.*@)?(.{0,8}).*$/, (_, role: string | undefined, s: string) => (role ?? '') + s)).join('+')
// baseSha is the commit of which there is a page.
export const baseSha = (sha: string) => sha.split('+')[0] ?? ''
