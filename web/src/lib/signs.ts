// The records of /api/v1/signs, and how they are written.

import { duration } from './format'

export interface Sample { at: string; what: string; ref: string; seconds: number; events: string[] | null }
export interface Times {
  count: number; median_seconds: number | null; mean_seconds: number | null; longest_seconds: number | null
  before: { count: number; median_seconds: number | null }; samples: Sample[] | null
}
export interface Share { part: number; of: number; rate: number | null; before: number | null }
export interface Reliability {
  name: string; since: string; observed: number; down: number; failures: number; between_seconds: number | null; median_between_seconds: number | null
  before: { observed: number; failures: number; between_seconds: number | null }; repair: Times; open: number
  outages: { from: string; to?: string; incidents: string[] }[] | null
}
export interface Element { name: string; last: Sample | null; times: Times }
export interface Change { at: string; what: string; ref: string; event: string }
export interface Cell { weekday: number; hour: number; work: boolean; people: number; automatic: number; incidents: number; newest: Change[] | null }
export interface Hours { team: string; days?: string; from?: string; to?: string; zone?: string }
export interface Laggard { host: string; group: string; security: number; updates: number; since?: string; reboot: boolean }
export interface RequestKind { kind: string; times: Times; alone: Share; open: number; failed: number }
export interface Signs {
  since: string; until: string; before: string; first: string; teams: string[]; environments: string[]
  failures: { total: Reliability; environments: Reliability[]; services: Reliability[]; groups: Reliability[] }
  rebuild: { hosts: Element[]; deploys: Element[]; rollbacks: Element[]; oldest: { host: string; group: string; since: string; never: boolean; made: boolean }[] }
  patches: {
    hosts: number; patched: number; behind: number; unknown: number; reboot: number; share: number | null; oldest: string | null
    groups: { group: string; hosts: number; patched: number; unknown: number; reboot: number }[]; laggards: Laggard[]; series: string[]
  }
  requests: {
    kinds: RequestKind[]; alone: Share; own: number; waiting: Times
    waits: { since: string; what: string; ref: string; event: string }[]; helped: Sample[]
  }
  changes: {
    people: Share; automatic: Share; kinds: { kind: string; people: Share; automatic: Share }[]; incidents: Share; cells: Cell[]; off: Change[]; hours: Hours[]
  }
}

// refPage is the page about what a figure was made from.
export function refPage(ref: string, event?: string): string {
  const [kind = '', ...rest] = ref.split('/')
  const name = rest.join('/')
  switch (kind) {
    case 'incident': return `/incidents/${name}`
    case 'run': return `/runs/${name}`
    case 'host': return `/hosts/${encodeURIComponent(name)}`
    case 'group': return `/hosts/groups/${encodeURIComponent(name)}`
    case 'deploy': return `/why?ref=${encodeURIComponent(ref)}`
    default: return event ? `/why?ref=${encodeURIComponent(event)}` : `/journal?subject=${encodeURIComponent(ref)}`
  }
}

export const time = (seconds: number | null | undefined) => (seconds === null || seconds === undefined ? '–' : duration(seconds))
export const percent = (rate: number | null) => (rate === null ? '–' : `${Math.round(100 * rate)} %`)
export const share = (s: Share) => (s.of ? `${percent(s.rate)} of ${s.of}` : '–')
// before is the same figure of the period before, as a person reads it.
export const before = (text: string) => (text === '–' ? 'nothing before' : `before: ${text}`)

// between is the mean time between failures in words.
export const between = (seconds: number | null, observed: number) => (seconds === null ? (observed > 0 ? `none in ${duration(observed)}` : '–') : duration(seconds))

export const weekdays = ['Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday']

// told is an hour of the week in words.
export function told(c: Cell): string {
  const n = (count: number, one: string) => (count ? [`${count} ${one}${count === 1 ? '' : 's'}`] : [])
  return `${weekdays[c.weekday]} ${String(c.hour).padStart(2, '0')}:00: ` +
    [...n(c.people + c.automatic, 'change').map((all) => `${all} (${c.people} by people, ${c.automatic} automatic)`), ...n(c.incidents, 'incident')].join(', ')
}

// along is where a duration lies between a tenth of a second and the longest, 0 to 100:
// on a scale of powers, since repairs take seconds or days.
export function along(seconds: number, longest: number): number {
  const log = (s: number) => Math.log10(Math.max(0.1, s) / 0.1)
  return longest <= 0.1 ? 0 : Math.min(100, (100 * log(seconds)) / log(longest))
}
