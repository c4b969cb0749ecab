// Panels of a dashboard: what each shows of the answers, and how one is made of
// what the page Metrics shows.

import type { Dashboard, Panel, Series, Threshold } from './records'
import { usualFrom, write, type Area, type View } from './view'

// level is the worst of the bounds that a value breaks, or ''.
export function level(v: number | null | undefined, thresholds: Threshold[]): '' | 'warn' | 'critical' {
  if (v === null || v === undefined) return ''
  const broken = thresholds.filter((t) => (t.above !== undefined && v > t.above) || (t.below !== undefined && v < t.below))
  return broken.some((t) => t.level !== 'warn') ? 'critical' : broken.length ? 'warn' : ''
}

// newest is the last known value.
export function newest(s: Series): number | null {
  for (let i = s.datapoints.length - 1; i >= 0; i--) {
    const v = s.datapoints[i]![0]
    if (v !== null) return v
  }
  return null
}

export const area = (kind: string): Area => (kind === 'stacked' ? 'stacked' : kind === 'area' ? 'all' : 'none')
export const heading = (p: Panel): string => p.title || p.targets[0] || ''

// Panels with a time of their own are asked for by themselves.
export const own = (p: Panel): string => (p.from ? `${p.from}|${p.until ?? ''}` : '')

export interface Time { from: string; until: string; refresh: number | undefined }

const ends = (until: string | undefined) => (until === undefined || until === 'now' ? '' : until)

// time is what the address says, or else the dashboard.
export function time(q: URLSearchParams, d: Dashboard | undefined): Time {
  const refresh = q.get('refresh')
  return {
    from: q.get('from')?.trim() || d?.from || usualFrom,
    until: q.has('from') || q.has('until') ? ends(q.get('until')?.trim() ?? '') : ends(d?.until),
    refresh: refresh !== null && /^\d+$/.test(refresh) ? Number(refresh) : undefined,
  }
}

export function address(name: string, t: Time): string {
  const q = new URLSearchParams({ from: t.from })
  if (t.until) q.set('until', t.until)
  if (t.refresh !== undefined) q.set('refresh', String(t.refresh))
  return `/dashboards/${encodeURIComponent(name)}?${q}`
}

const blank: View = { targets: [], from: usualFrom, until: '', refresh: undefined, title: '', yMin: undefined, yMax: undefined, area: 'none', nulls: 'gap', legend: true, marks: true, bound: undefined }

// asked is the view that loads all targets of some panels at once.
export const asked = (panels: Panel[], t: Time): View =>
  ({ ...blank, ...t, targets: [...new Set(panels.flatMap((p) => p.targets))].map((text) => ({ text, hidden: false })) })

// explore is the panel on the page Metrics.
export function explore(p: Panel, t: Time): string {
  const bound = p.thresholds?.[0]
  return '/explore?' + write({
    ...asked([p], p.from ? { from: p.from, until: ends(p.until), refresh: t.refresh } : t),
    title: p.title ?? '', yMin: p.y_min, yMax: p.y_max, area: area(p.kind), bound: bound?.above ?? bound?.below,
  })
}

// panel is what the page Metrics shows, as one of a dashboard.
export function panel(v: View, draft: { title: string; kind: string; width: number }): Panel {
  const made: Panel = { kind: draft.kind, targets: v.targets.filter((t) => !t.hidden && t.text.trim()).map((t) => t.text), width: draft.width }
  if (draft.title.trim()) made.title = draft.title.trim()
  if (v.yMin !== undefined) made.y_min = v.yMin
  if (v.yMax !== undefined) made.y_max = v.yMax
  if (v.bound !== undefined) made.thresholds = [{ above: v.bound, level: 'critical' }]
  return made
}

export const kindOf = (v: View): string => (v.area === 'stacked' ? 'stacked' : v.area === 'all' ? 'area' : 'line')

// fileOf makes a name for the file of a new dashboard from its title.
export const fileOf = (title: string): string => title.trim().toLowerCase().replace(/[^a-z0-9]+/g, '-').replace(/^-+|-+$/g, '').slice(0, 63)
