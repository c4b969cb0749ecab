// What the page Metrics shows, and how it stands in the address. Its keys are
// those of /render, so that the query of one is the query of the other.

export interface Target { text: string; hidden: boolean }

export type Area = 'none' | 'all' | 'stacked'
export type Nulls = 'gap' | 'zero' | 'connected'

export interface View {
  targets: Target[]
  from: string // in any form that Graphite knows
  until: string // '' is now
  refresh: number | undefined // seconds; 0: never; undefined: as the length of the range suggests
  title: string
  yMin: number | undefined
  yMax: number | undefined
  area: Area
  nulls: Nulls
  legend: boolean
  marks: boolean
  bound: number | undefined // a line to compare with
}

export const usualFrom = '-1h'

const number = (text: string | null) => text !== null && text.trim() !== '' && Number.isFinite(Number(text)) ? Number(text) : undefined
const yes = (text: string | null) => text !== null && !['', '0', 'false', 'no'].includes(text.toLowerCase())

export function read(q: URLSearchParams): View {
  const hidden = new Set((q.get('hide') ?? '').split(',').filter(Boolean).map(Number))
  const texts = [...q.getAll('target'), ...q.getAll('target[]')].filter((t) => t.trim() !== '')
  const area = q.get('areaMode')
  return {
    targets: texts.map((text, i) => ({ text, hidden: hidden.has(i + 1) })),
    from: q.get('from')?.trim() || usualFrom,
    until: q.get('until')?.trim().replace(/^now$/, '') ?? '',
    refresh: number(q.get('refresh')),
    title: q.get('title') ?? '',
    yMin: number(q.get('yMin')), yMax: number(q.get('yMax')),
    area: area === 'stacked' ? 'stacked' : area === 'all' || area === 'first' ? 'all' : 'none',
    nulls: yes(q.get('drawNullAsZero')) ? 'zero' : q.get('lineMode') === 'connected' ? 'connected' : 'gap',
    legend: !yes(q.get('hideLegend')),
    marks: q.get('marks') !== 'off',
    bound: number(q.get('bound')),
  }
}

// write leaves out what is as usual, so that addresses stay short.
export function write(v: View): URLSearchParams {
  const q = new URLSearchParams()
  const targets = v.targets.filter((t) => t.text.trim() !== '')
  for (const t of targets) q.append('target', t.text)
  const hidden = targets.flatMap((t, i) => (t.hidden ? [i + 1] : []))
  if (hidden.length) q.set('hide', hidden.join(','))
  q.set('from', v.from)
  if (v.until) q.set('until', v.until)
  if (v.refresh !== undefined) q.set('refresh', String(v.refresh))
  look(v, q)
  if (!v.marks) q.set('marks', 'off')
  if (v.bound !== undefined) q.set('bound', String(v.bound))
  return q
}

function look(v: View, q: URLSearchParams) {
  if (v.title) q.set('title', v.title)
  if (v.yMin !== undefined) q.set('yMin', String(v.yMin))
  if (v.yMax !== undefined) q.set('yMax', String(v.yMax))
  if (v.area !== 'none') q.set('areaMode', v.area)
  if (v.nulls === 'zero') q.set('drawNullAsZero', 'true')
  if (v.nulls === 'connected') q.set('lineMode', 'connected')
  if (!v.legend) q.set('hideLegend', 'true')
}

// picture is the address of the same view as a file, with times as they are here.
export function picture(v: View, format: 'png' | 'svg' | 'csv' | 'json', zone: string): string {
  const q = new URLSearchParams()
  for (const t of v.targets) if (!t.hidden && t.text.trim()) q.append('target', t.text)
  const drawn = format === 'png' || format === 'svg'
  if (drawn && v.bound !== undefined) q.append('target', `threshold(${v.bound},"bound","red")`)
  q.set('from', v.from)
  q.set('until', v.until || 'now')
  if (drawn) {
    look(v, q)
    if (v.legend) q.set('hideLegend', 'false')
    q.set('width', '1000')
    q.set('height', '400')
  }
  q.set('format', format)
  if (zone) q.set('tz', zone)
  return '/render?' + q
}

// A row of the list of targets; the number stays while it is edited or moved.
export interface Row extends Target { id: number }

// rows follows the address: what is the same keeps its number, and one empty row
// waits where there is none.
export function rows(old: Row[], targets: Target[]): Row[] {
  let next = Math.max(0, ...old.map((r) => r.id)) + 1
  const left = [...old]
  const take = (want: (r: Row, i: number) => boolean) => { const i = left.findIndex(want); return i < 0 ? undefined : left.splice(i, 1)[0]!.id }
  const ids = targets.map((t) => take((r) => r.text === t.text))
  const made = targets.map((t, i) => ({ ...t, id: ids[i] ?? next++ }))
  return made.length ? made : [{ id: next, text: '', hidden: false }]
}

export const same = (a: Target[], b: Target[]): boolean =>
  a.length === b.length && a.every((t, i) => t.text === b[i]!.text && t.hidden === b[i]!.hidden)

// question is what of a view is asked of the server; the rest is only drawn.
export const question = (v: View): string => JSON.stringify([v.targets, v.from, v.until, v.marks])

// pause is how many seconds to wait before a view is loaded again; 0: forever.
export function pause(v: View, seconds: number): number {
  if (v.refresh !== undefined) return v.refresh
  if (/^\d+$/.test(v.until)) return 0 // what is over does not change
  return Math.min(60, Math.max(5, Math.round(seconds / 200)))
}
